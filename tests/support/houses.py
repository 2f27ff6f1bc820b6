"""Every service that the tests of the HTTP edge go through, one row each.

A row says how the service is opened in-process, which schemas it has, and how one of everything is
put into it that belongs to "everyone", who has all roles: what generated requests then lead to.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

from services.commerce import routes as commerce_routes
from services.commerce import schemas as commerce_schemas
from services.health import routes as health_routes
from services.health import schemas as health_schemas
from services.identity import routes as identity_routes
from services.identity import schemas as identity_schemas
from services.identity.actions import accounts
from services.identity.actions.accounts import Sample
from services.identity.schemas.accounts import ACCOUNT_ID
from services.identity.schemas.clients import NewClientSchema
from services.identity.schemas.people import NewDelegationSchema
from services.tourism import routes as tourism_routes
from services.tourism import schemas as tourism_schemas
from shared.schemas import Schema
from shared.web.routes import Binary, Route, Router
from tests.support.bureau import Bureau
from tests.support.clinic import LZU, Clinic
from tests.support.gate import Gate
from tests.support.people import number_of, own_name
from tests.support.served import Json, Served, json_of, made
from tests.support.shop import Shop


@dataclass(frozen=True, slots=True, eq=False)
class House:
    """One service. `furnish` gives ids by the names that they have in paths and bodies; `tagged`
    is what changes are conditional on: a path below the service, with those names. `listing` is a
    public list from the database. `beside` are addresses that are no declared routes, because a
    standard of their own says how they are asked.
    """

    name: str
    router: Router[Any]
    schemas: ModuleType
    open: Callable[..., Served]
    furnish: Callable[[Any], dict[str, str]]
    tagged: str
    listing: str
    beside: frozenset[str] = frozenset()

    def schema_classes(self) -> set[type[Schema]]:
        """Every schema that the service's modules declare or use."""
        modules = [
            importlib.import_module(f"{self.schemas.__name__}.{module.name}")
            for module in pkgutil.iter_modules(self.schemas.__path__)
        ]
        return {
            schema
            for module in modules
            for schema in vars(module).values()
            if isinstance(schema, type) and issubclass(schema, Schema) and schema is not Schema
        }


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """A route and the service that it is of."""

    house: House
    route: Route[Any]

    @property
    def name(self) -> str:
        return f"{self.route.method} {self.route.address}"

    @property
    def path(self) -> str:
        """The route's path below its service, with ids of nothing in it."""
        path = self.route.path
        for name in self.route.parameters:
            path = path.replace(f"{{{name}}}", KNOWN.get(name, "nothing"))
        return path

    @property
    def schema(self) -> type[Schema] | None:
        """What the route's JSON has to be like, if it takes any."""
        body = self.route.body
        return None if isinstance(body, Binary) else body

    @property
    def query(self) -> str:
        """What has to be asked, as its schema exemplifies it: `day=…`, or nothing."""
        fields = {} if self.route.query is None else self.route.query().fields
        return "&".join(
            f"{name}={field.metadata['examples'][0]}"
            for name, field in fields.items()
            if field.required
        )


KNOWN = {"pavilion_id": "gansu"}
"""Ids that are there without being made."""


def _furnish_shop(shop: Shop) -> dict[str, str]:
    product = shop.lily(on_hand=10**6, by="everyone")
    return {
        "product_id": product,
        "store_id": json_of(shop.get(f"/v1/products/{product}"))["store_id"],
        "order_id": shop.order(product, by="everyone")["id"],
        "pavilion_id": "longnan",
        "picture_id": shop.picture(product, by="everyone").rpartition("/")[2],
        "size": "160",
        "code": "620103",
        "slug": "sold-out",
    }


def _furnish_gate(gate: Gate) -> dict[str, str]:
    session = gate.open_session(capacity=10_000)
    booking: Json = made(gate.hold(session, by="everyone"))
    return {
        "attraction_id": "mogao",
        "product_id": "ticket",
        "session_id": session,
        "booking_id": booking["id"],
        "ticket_id": booking["tickets"][0]["id"],
        "slug": "no-places-left",
    }


def _furnish_clinic(clinic: Clinic) -> dict[str, str]:
    clinic.open_desks()
    session = clinic.session(places=20)
    appointment = clinic.booked(session, by="everyone")
    return {
        "hospital_id": LZU,
        "department_id": session["department_id"],
        "doctor_id": session["doctor_id"],
        "session_id": session["id"],
        "slot": "1",
        "appointment_id": appointment["id"],
        "slug": "fully-booked",
    }


def _furnish_bureau(bureau: Bureau) -> dict[str, str]:
    roles = ["citizen", "operator", "security", "station_agent"]
    sample = Sample("everyone", roles, bureau.secrets.phone("+8613800000000"))
    somebody = Sample(ACCOUNT_ID, ["citizen"], bureau.secrets.phone("+8613800000001"))
    accounts.plant_accounts(bureau.database, [sample, somebody])
    body = {**NewClientSchema.EXAMPLE, "id": "another-app"}
    delegation = made(bureau.post("/v1/delegations", NewDelegationSchema.EXAMPLE, by="everyone"))
    own = own_name(0, "张三", date(1990, 1, 1))
    made(bureau.post("/v1/account/name", own, by="everyone"))
    child = {"name": "张小", "number": number_of(date(2020, 1, 1))}
    guardianship = made(bureau.post("/v1/children", child, by="everyone"))
    return {
        "person_id": str(guardianship["person_id"]),
        "client_id": str(made(bureau.post("/v1/clients", body, by="everyone"))["id"]),
        "delegation_id": str(delegation["id"]),
        "account_id": ACCOUNT_ID,
        "role_name": "merchant",
        "slug": "client-exists",
    }


COMMERCE = House(
    "commerce",
    commerce_routes.router,
    commerce_schemas,
    Shop,
    _furnish_shop,
    "/v1/products/{product_id}",
    "/v1/products",
)
TOURISM = House(
    "tourism",
    tourism_routes.router,
    tourism_schemas,
    Gate,
    _furnish_gate,
    "/v1/sessions/{session_id}/capacity",
    "/v1/attractions/mogao/products",
)
HEALTH = House(
    "health",
    health_routes.router,
    health_schemas,
    Clinic,
    _furnish_clinic,
    "/v1/sessions/{session_id}",
    f"/v1/hospitals/{LZU}/departments",
)
IDENTITY = House(
    "identity",
    identity_routes.router,
    identity_schemas,
    Bureau,
    _furnish_bureau,
    "/v1/clients/{client_id}",
    "/v1/apps",
    frozenset(
        f"/identity/{address}"
        for address in (
            *("enrolment", "sign-in/staff"),
            *("authorize", "sign-in", "sign-in/code", "token", "revoke"),
            *(".well-known/openid-configuration", ".well-known/jwks.json"),
        )
    ),
)
HOUSES = (COMMERCE, TOURISM, HEALTH, IDENTITY)

EVERY_ROUTE = [Declared(house, route) for house in HOUSES for route in house.router.routes]
SCOPED = [each for each in EVERY_ROUTE if each.route.scope is not None]
PUBLIC = [each for each in EVERY_ROUTE if each.route.public is not None]


class Open:
    """Opens each service once, when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, Served] = {}

    def __call__(self, house: House) -> Served:
        if house.name not in self._open:
            self._open[house.name] = house.open(self._root / house.name)
        return self._open[house.name]

    def close(self) -> None:
        for served in self._open.values():
            served.__exit__(None, None, None)
