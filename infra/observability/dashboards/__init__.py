"""The dashboards, in the order in which one asks: one module each."""

from infra.observability.dashboards.conservation import CONSERVATION
from infra.observability.dashboards.overview import OVERVIEW
from infra.observability.dashboards.security import SECURITY
from infra.observability.dashboards.storage import STORAGE

DASHBOARDS = (OVERVIEW, STORAGE, SECURITY, CONSERVATION)
