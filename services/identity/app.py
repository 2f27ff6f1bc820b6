"""Identity, put together from parts that are given."""

from services.identity.routes import oauth, router, sign_in, staff_pages
from services.identity.routes.parts import Identity
from shared.condition import Condition
from shared.web import service
from shared.web.service import Application, Edge


def create_app(parts: Identity, edge: Edge, condition: Condition) -> Application:
    """The service on its parts; `condition` says how they are."""
    app = service.build(router, parts, edge, condition)
    for method, path, handler in [
        *oauth.endpoints(parts),
        *sign_in.endpoints(parts),
        *staff_pages.endpoints(parts),
    ]:
        app.declare(method, path, handler)
    return app
