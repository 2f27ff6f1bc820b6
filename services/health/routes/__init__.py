"""HTTP of health: parse, call one action, render. All its routes, put together."""

from services.health.routes import appointments, desks, schedules
from services.health.routes.parts import PREFIX, TITLE, Health
from shared.web.routes import Router

router = Router[Health](
    PREFIX,
    TITLE,
    [*desks.router.routes, *schedules.router.routes, *appointments.router.routes],
)
