"""Commerce, put together from parts that are given."""

from services.commerce.pictures import Gallery
from services.commerce.routes import router
from services.commerce.routes.parts import Commerce
from shared.divisions import Divisions
from shared.storage.access import Database
from shared.web import service
from shared.web.common import Ready
from shared.web.service import Application, Edge


def create_app(
    database: Database, divisions: Divisions, gallery: Gallery, edge: Edge, ready: Ready
) -> Application:
    """The service on a database; `ready` says what keeps that database from serving."""
    return service.build(router, Commerce(database, divisions, gallery), edge, ready)
