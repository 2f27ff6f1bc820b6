"""HTTP of identity: parse, call one action, render. All its routes, put together."""

from services.identity.routes import accounts, audit, clients, delegations, staff
from services.identity.routes.parts import PREFIX, TITLE, Identity
from shared.web.routes import Router

router = Router[Identity](
    PREFIX,
    TITLE,
    [
        *accounts.router.routes,
        *clients.router.routes,
        *staff.router.routes,
        *audit.router.routes,
        *delegations.router.routes,
    ],
)
