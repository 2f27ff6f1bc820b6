"""Health, put together from parts that are given."""

from services.health.routes import router
from services.health.routes.parts import Health
from shared.auth.subjects import SubjectOf
from shared.condition import Condition
from shared.divisions import Divisions
from shared.places import Places
from shared.storage.access import Database
from shared.web import service
from shared.web.service import Application, Edge


def create_app(
    database: Database,
    hospitals: Places,
    divisions: Divisions,
    subject_of: SubjectOf,
    edge: Edge,
    condition: Condition,
) -> Application:
    """The service on a database; `condition` says how it is."""
    parts = Health(database, hospitals, divisions, subject_of, edge.clock)
    return service.build(router, parts, edge, condition)
