"""The smoke test of an installation finds what does not hold; that it finds nothing where all holds
is in tests/system/test_compose.py.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.client import ClientAt
from infra.smoke import Broken, Smoke, main, parsed
from shared.clock import SystemClock
from tests.support.upstream import Arrived, Reply, Upstream

Change = Callable[[Arrived, Reply], Reply | None]

KEYS = "/identity/.well-known/jwks.json"
ORDERS = "/commerce/v1/orders"


def reply(status: int, document: Any = None, kind: str = "application/json") -> Reply:
    return Reply(status, {"Content-Type": kind}, json.dumps(document).encode())


class Platform:
    """What a sound platform answers to the smoke test, kept in memory; `change` breaks it."""

    def __init__(self, change: Change | None = None) -> None:
        self._change = change
        self._orders: dict[str, str] = {}
        self._states: dict[str, str] = {}

    def __call__(self, arrived: Arrived) -> Reply:
        sound = self._sound(arrived)
        return (self._change(arrived, sound) if self._change else None) or sound

    def _sound(self, arrived: Arrived) -> Reply:
        if arrived.target == KEYS:
            return reply(200, {"keys": [{}]})
        if arrived.target.startswith(ORDERS):
            return self._order(arrived)
        return reply(200, {"items": []})

    def _order(self, arrived: Arrived) -> Reply:
        if "authorization" not in arrived.headers:
            return reply(401, {}, "application/problem+json")
        if arrived.target == ORDERS:
            key = arrived.headers["idempotency-key"]
            made = self._orders.setdefault(key, f"order-{len(self._orders)}")
            self._states.setdefault(made, "placed")
            return reply(201, {"id": made})
        made = arrived.target.split("/")[4]
        if arrived.target.endswith("/cancellation"):
            self._states[made] = "cancelled"
            return reply(201, {"id": made})
        return reply(200, {"id": made, "state": self._states[made]})


def looked(change: Change | None = None, *, orders: bool = False) -> None:
    with Upstream(Platform(change)) as upstream:
        client = ClientAt(f"http://{upstream.address}")
        smoke = Smoke(client, SystemClock(), lambda _: None)
        smoke.reads()
        if orders:
            smoke.token = "a token"
            smoke.taken_and_back(ORDERS, {"lines": []})


def test_what_holds_is_not_broken() -> None:
    looked(orders=True)


def when(target: str, changed: Reply) -> Change:
    return lambda arrived, _: changed if arrived.target == target else None


def done_twice(arrived: Arrived, sound: Reply) -> Reply | None:
    if arrived.target == ORDERS and sound.status == 201:
        return reply(201, {"id": arrived.connection})
    return None


def never_cancelled(arrived: Arrived, sound: Reply) -> Reply | None:
    if arrived.method == "GET" and arrived.target.startswith(f"{ORDERS}/"):
        return reply(200, {**json.loads(sound.body), "state": "placed"})
    return None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (when("/gateway/health/live", reply(503)), "/gateway/health/live answers 503"),
        (when(KEYS, reply(200, {"keys": []})), "publishes no keys"),
        (when("/health/v1/hospitals", reply(500)), "/health/v1/hospitals answers 500"),
        (when(ORDERS, reply(200, {"id": "x"})), "answers 200 in place of 401"),
        (when(ORDERS, reply(401)), "no problem document"),
        (done_twice, "was done twice"),
        (never_cancelled, "was cancelled and is placed"),
    ],
)
def test_what_does_not_hold_is_told(change: Change, words: str) -> None:
    with pytest.raises(Broken, match=words):
        looked(change, orders=True)


def test_where_nothing_answers_it_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:9"], SystemClock()) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("https://gansu.example", "--write"),
        ("https://gansu.example", "--write", "--samples", "--number", "13812345678"),
    ],
)
def test_nobody_writes_by_accident(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        parsed(arguments)
