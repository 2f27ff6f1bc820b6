"""Tourism, put together from parts that are given."""

from services.tourism.routes import router
from services.tourism.routes.parts import Tourism
from shared.auth.subjects import DigestOf
from shared.condition import Condition
from shared.divisions import Divisions
from shared.places import Places
from shared.storage.access import Database
from shared.web import service
from shared.web.service import Application, Edge


def create_app(
    database: Database,
    attractions: Places,
    divisions: Divisions,
    digest_of: DigestOf,
    edge: Edge,
    condition: Condition,
) -> Application:
    """The service on a database; `condition` says how it is."""
    parts = Tourism(database, attractions, divisions, digest_of, edge.clock)
    return service.build(router, parts, edge, condition)
