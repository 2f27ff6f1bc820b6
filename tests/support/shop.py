"""Commerce over HTTP, in-process and in memory: the real application on the real engine.

with Shop(tmp_path) as shop:
    lily = shop.lily(on_hand=10)
    answer = shop.post("/v1/orders", shop.order_of(lily, 2), by="citizen-1")
"""

from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from werkzeug.test import Client, TestResponse

from services.commerce import divisions
from services.commerce.app import create_app
from services.commerce.divisions import Divisions
from services.commerce.domain import CATALOGUE
from services.commerce.schemas.common import LILY
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket, MemoryStore
from shared.web.log import RequestLog
from shared.web.service import Edge
from tests.support.clock import FakeClock
from tests.support.tokens import Issuer

BODY_BYTES_MAX = 64 << 10
DIVISIONS = Path(__file__).parents[2] / "data" / "reference" / "gansu_divisions.csv"

Json = dict[str, Any]


@cache
def all_divisions() -> Divisions:
    return divisions.read(DIVISIONS)


class Shop:
    """The service, and people to call it. `log` holds the lines that it wrote."""

    def __init__(self, directory: Path, *, troubles: list[str] | None = None) -> None:
        self.clock = FakeClock()
        self.issuer = Issuer(self.clock)
        self.bucket = MemoryBucket(self.clock)
        self.store = MemoryStore(self.bucket, clock=self.clock)
        self.log: list[bytes] = []
        self.verifier = self.issuer.verifier()
        self.troubles = troubles
        self.database = JournalDatabase(
            self.store, CATALOGUE, prefix="commerce/", directory=directory, clock=self.clock
        )
        self.edge = Edge(
            verifier=self.verifier,
            request_key=b"a request key that only tests know, 32+",
            clock=self.clock,
            log=RequestLog("commerce", self.clock, self.log.append),
            body_bytes_max=BODY_BYTES_MAX,
        )
        self.app = create_app(self.database, all_divisions(), self.edge, self._ready)
        self.client = Client(self.app)
        self._keys = count(1)
        self._tokens: dict[str, str] = {}

    def _ready(self) -> list[str]:
        return self.database.troubles() if self.troubles is None else self.troubles

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.clock.hurry()
        self.database.close()

    # Requests

    def token(self, account: str) -> str:
        """A token for an account whose name says what it is: citizen-1, merchant-1, operator-1."""
        if account not in self._tokens:
            role = account.partition("-")[0]
            roles = ["operator"] if role == "operator" else ["citizen", role]
            self._tokens[account] = self.issuer.token(account, roles=roles)
        return self._tokens[account]

    def new_key(self) -> str:
        return f"key-{next(self._keys)}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        by: str | None = None,
        token: str | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> TestResponse:
        """One request to `/commerce‹path›`. A POST gets a fresh Idempotency-Key unless given one;
        `key=""` sends none.
        """
        sent = dict(headers or {})
        given = token if token is not None else self.token(by) if by else None
        if given is not None:
            sent.setdefault("Authorization", f"Bearer {given}")
        if method == "POST" and key != "":
            sent["Idempotency-Key"] = key or self.new_key()
        data = raw if raw is not None else None if body is None else orjson.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.client.open(f"/commerce{path}", method=method, data=data, headers=sent)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> TestResponse:
        return self.ask("POST", path, body, **options)

    # Goods

    def open_store(self, by: str = "merchant-1", **changes: Any) -> str:
        """A new store's id."""
        body = {"name_zh": "七里河百合合作社", "name_en": "Qilihe Lily Co-op", "division": "620103"}
        return str(made(self.post("/v1/stores", {**body, **changes}, by=by))["id"])

    def add(
        self, store_id: str, *, by: str = "merchant-1", on_hand: int = 0, **changes: Any
    ) -> str:
        """A new product's id."""
        path = f"/v1/stores/{store_id}/products"
        product_id = str(made(self.post(path, {**LILY, **changes}, by=by))["id"])
        if on_hand:
            path = f"/v1/products/{product_id}/stock/adjustments"
            made(self.post(path, {"delta": on_hand}, by=by))
        return product_id

    def lily(self, on_hand: int = 10, by: str = "merchant-1") -> str:
        """Lanzhou lily bulbs at 49.00 yuan in a new store; the product's id."""
        return self.add(self.open_store(by), by=by, on_hand=on_hand)

    def order(self, product_id: str, quantity: int = 1, by: str = "citizen-1") -> Json:
        """A new order of one line, a second after whatever was before it."""
        self.clock.pass_wall(seconds=1)
        return made(self.post("/v1/orders", order_of(product_id, quantity), by=by))

    def stock(self, product_id: str, by: str = "merchant-1") -> Json:
        """A product's stock without its id."""
        answer = self.get(f"/v1/products/{product_id}/stock", by=by)
        assert answer.status_code == 200, answer.text
        stock = json_of(answer)
        del stock["product_id"]
        return stock


def order_of(product_id: str, quantity: int = 1) -> Json:
    return {"lines": [{"product_id": product_id, "quantity": quantity}]}


def json_of(answer: TestResponse) -> Json:
    """The JSON object in an answer."""
    body = answer.get_json()
    assert isinstance(body, dict), answer.text
    return body


def made(answer: TestResponse) -> Json:
    """The body of a 201."""
    assert answer.status_code == 201, answer.text
    return json_of(answer)


def refused(answer: TestResponse, status: int, slug: str, *fields: str) -> Json:
    """The body of an answer that has to be this problem, naming just these fields."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = json_of(answer)
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert sorted(error["field"] for error in problem.get("errors", [])) == sorted(fields)
    assert all(error["message"] for error in problem.get("errors", []))
    return problem
