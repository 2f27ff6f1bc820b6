"""Commerce, put together from parts that are given."""

from services.commerce.pictures import Gallery
from services.commerce.routes import router
from services.commerce.routes.parts import Commerce
from shared.condition import Condition
from shared.divisions import Divisions
from shared.storage.access import Database
from shared.web import service
from shared.web.service import Application, Edge


def create_app(
    database: Database,
    divisions: Divisions,
    gallery: Gallery,
    orders_max: int,
    edge: Edge,
    condition: Condition,
) -> Application:
    """The service on a database; `condition` says how it is.

    `orders_max`: how many one citizen may place within a minute; 0 for any number.
    """
    parts = Commerce(database, divisions, gallery, orders_max)
    return service.build(router, parts, edge, condition)
