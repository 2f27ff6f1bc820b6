"""HTTP of tourism: parse, call one action, render. All its routes, put together."""

from services.tourism.routes import attractions, bookings, sessions
from services.tourism.routes.parts import PREFIX, TITLE, Tourism
from shared.web.routes import Router

router = Router[Tourism](
    PREFIX,
    TITLE,
    [*attractions.router.routes, *sessions.router.routes, *bookings.router.routes],
)
