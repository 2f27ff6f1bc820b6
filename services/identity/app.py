"""Identity, put together from parts that are given."""

from services.identity.routes import router
from services.identity.routes.parts import Identity
from shared.web import service
from shared.web.common import Ready
from shared.web.service import Application, Edge


def create_app(parts: Identity, edge: Edge, ready: Ready) -> Application:
    """The service on its parts; `ready` says what keeps its database from serving."""
    return service.build(router, parts, edge, ready)
