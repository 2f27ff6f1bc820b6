"""What one person can do for another in each service: one row each, for tests of delegates.

An errand takes something for a person, looks it up and gives it back, whatever token it is sent
with. A new service that has anything to act for adds a row (see houses.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

from werkzeug.test import TestResponse

from tests.support.clinic import MONDAY, Clinic
from tests.support.gate import Gate
from tests.support.houses import COMMERCE, HEALTH, TOURISM, House
from tests.support.served import Json, json_of, made
from tests.support.shop import Shop, order_of

Take = Callable[..., TestResponse]

_HOURS = count()


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """`scarce` makes something that can be had, once a service is open; `take` asks for it with
    `token=` or `by=`, and `key=`. `did` are the words for taking and for giving back.
    """

    house: House
    path: str
    scopes: tuple[str, str]
    did: tuple[str, str]
    scarce: Callable[[Any], Any]
    take: Take

    def taken(self, served: Any, **options: Any) -> Json:
        """Something new, a second after whatever was before it."""
        served.clock.pass_wall(seconds=1)
        return made(self.take(served, self.scarce(served), **options))

    def give_back(self, served: Any, taken: Json, **options: Any) -> TestResponse:
        answer: TestResponse = served.post(f"{self.path}/{taken['id']}/cancellation", **options)
        return answer

    def seen(self, served: Any, taken: Json, **options: Any) -> Json:
        return json_of(served.get(f"{self.path}/{taken['id']}", **options))


def _order(shop: Shop, product: str, **options: Any) -> TestResponse:
    return shop.post("/v1/orders", order_of(product), **options)


def _hold(gate: Gate, body: Json, **options: Any) -> TestResponse:
    return gate.post("/v1/bookings", body, **options)


def _place(gate: Gate) -> Json:
    return {"session_id": gate.open_session(), "visitors": gate.visitors()}


def _hour(clinic: Clinic) -> Json:
    """A doctor's hour at which nobody has another appointment."""
    clinic.open_desks()
    day, hour = divmod(next(_HOURS), 16)
    that_day = (date.fromisoformat(MONDAY) + timedelta(days=day)).isoformat()
    hours = (f"{hour + 7:02d}:00", f"{hour + 8:02d}:00")
    return clinic.session(
        first=that_day,
        last=that_day,
        weekdays=[1, 2, 3, 4, 5, 6, 7],
        start=hours[0],
        end=hours[1],
        slot_minutes=60,
        release_days=30,
    )


def _book(clinic: Clinic, session: Json, **options: Any) -> TestResponse:
    return clinic.book(session, **{"by": None, **options})


ERRANDS = (
    Errand(
        COMMERCE,
        "/v1/orders",
        ("orders:read", "orders:write"),
        ("placed", "cancelled"),
        lambda shop: shop.lily(),
        _order,
    ),
    Errand(
        TOURISM,
        "/v1/bookings",
        ("tickets:read", "tickets:write"),
        ("held", "cancelled"),
        _place,
        _hold,
    ),
    Errand(
        HEALTH,
        "/v1/appointments",
        ("appointments:read", "appointments:write"),
        ("booked", "cancelled"),
        _hour,
        _book,
    ),
)
