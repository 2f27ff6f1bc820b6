"""Identity, put together from parts that are given."""

from services.identity.routes import oauth, router, sign_in
from services.identity.routes.parts import Identity
from shared.web import service
from shared.web.common import Ready
from shared.web.service import Application, Edge


def create_app(parts: Identity, edge: Edge, ready: Ready) -> Application:
    """The service on its parts; `ready` says what keeps its database from serving."""
    app = service.build(router, parts, edge, ready)
    for method, path, handler in [*oauth.endpoints(parts), *sign_in.endpoints(parts)]:
        app.declare(method, path, handler)
    return app
