"""Tokens, keys and what identifies a person never reach a log or a journal, whatever is refused.

Several threads send all of it to every service at once, through the real gateway, in the places in
which apps send it and in those in which they should not, so that limits, bounds and services
refuse; one service fails, one is down. Then everything that was written anywhere is searched.
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote

import orjson
import pytest

from infra.gateway import Rate, Service
from shared.language import Language
from shared.web.responses import Rendered
from tests.support.errands import ERRANDS
from tests.support.gateway import GatewayServer, before
from tests.support.houses import Open
from tests.support.listening import Listening
from tests.support.served import Json, Served
from tests.support.upstream import Upstream

THREADS = 6
ROUNDS = 40

NAME, PHONE, RESIDENT = "欧阳雪莲", "13893120947", "11010519491231002X"
PERSON, AGENT = "account_0190eeee", "account_0190ffff"
DELEGATION = "delegation_0190abcd"
COOKIE = "session-cookie-of-somebody"


@dataclass
class Sent:
    """What was sent that must not be found, and what came of it."""

    secrets: set[bytes] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int, *secrets: str) -> None:
        with self.lock:
            self.statuses[status] += 1
            for secret in secrets:
                self.secrets |= {secret.encode(), quote(secret).encode()}


@dataclass(frozen=True)
class World:
    gateway: GatewayServer
    served: list[Served]
    sent: Sent

    def written(self) -> dict[str, bytes]:
        """Everything that the gateway and the services have written down, and where."""
        logs = self.gateway.settings.logs
        found = {path.name: path.read_bytes() for path in logs.iterdir()}
        for served in self.served:
            found[f"{served.name} log"] = b"".join(served.log)
            found[f"{served.name} bucket"] = served.stored()
        return found


def tokens(served: Served) -> list[str]:
    past = served.clock.now_ms() // 1000 - 9000
    return [
        served.issuer.token(PERSON),
        served.issuer.token(PERSON, exp=past),
        served.issuer.token(PERSON, aud=["elsewhere"]),
        served.acting(PERSON, agent=AGENT, delegation=DELEGATION),
        f"{served.issuer.token(AGENT)}x",
    ]


def bodies(chance: random.Random, scarce: Json) -> list[bytes]:
    """What is right, and what puts a person where nobody belongs."""
    personal = {"name": NAME, "phone": PHONE, "id_number": RESIDENT}
    return [
        orjson.dumps(scarce),
        orjson.dumps({**scarce, **personal}),
        orjson.dumps({**scarce, PHONE: NAME}),
        orjson.dumps({RESIDENT: {NAME: PHONE}}),
        orjson.dumps(personal) + b"}",
        orjson.dumps({"note": NAME * 25_000}),
        f'{{"{NAME}": 1, "{NAME}": 2}}'.encode(),
    ]


def trade(world: World, served: Served, scarce: Json, path: str, seed: int) -> None:
    chance, shown = random.Random(seed), tokens(served)
    for turn in range(ROUNDS):
        token, key = chance.choice(shown), f"key-{chance.randbytes(12).hex()}"
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": chance.choice([key, key, f"{PHONE}-{key}", f"{key} {NAME}"]),
            "Content-Type": "application/json",
            "Cookie": COOKIE,
            "User-Agent": f"app of {PHONE}",
            "X-Forwarded-For": RESIDENT,
            "X-Request-Id": key,
            "If-None-Match": f'"{PHONE}"',
        }
        headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        query = chance.choice(["", f"?q={quote(NAME)}", f"?phone={PHONE}", f"?token={token}"])
        if turn == 0:
            right = {**headers, "Authorization": f"Bearer {shown[0]}", "Idempotency-Key": key}
            answer = world.gateway.request("POST", path, right, orjson.dumps(scarce))
            assert answer.status in {201, 409}, answer.body  # one document has one ticket
        elif chance.random() < 0.5:
            body = chance.choice(bodies(chance, scarce))
            answer = world.gateway.request("POST", f"{path}{query}", headers, body)
        else:
            where = chance.choice([path, f"{path}/nobodys", f"/{served.name}/v1/products"])
            answer = world.gateway.request("GET", f"{where}{query}", headers)
        signature = token.rpartition(".")[2]
        world.sent.note(answer.status, token, signature, key, NAME, PHONE, RESIDENT, COOKIE)


@pytest.fixture(scope="module")
def world(opened: Open, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("load")
    served = [opened(errand.house) for errand in ERRANDS]
    with Upstream() as gone:
        pass
    listening = [Listening(each.app) for each in served]
    for each in listening:
        each.__enter__()
    services = [
        Service(each.name, (at.address,)) for each, at in zip(served, listening, strict=True)
    ]
    services.append(Service("nowhere", (gone.address,)))
    try:
        with before(
            directory,
            services=tuple(services),
            anonymous_rate=Rate(50, 20),
            credential_rate=Rate(2, 5),
        ) as gateway:
            yield World(gateway, served, Sent())
    finally:
        for each in listening:
            each.__exit__(None, None, None)


def body_of(house: str, thing: object) -> Json:
    """What an app sends to take the thing."""
    if house == "commerce":
        return {"lines": [{"product_id": thing, "quantity": 1}]}
    assert isinstance(thing, dict)
    if house == "tourism":
        document = {"kind": "resident_id", "number": RESIDENT}
        return {**thing, "visitors": [{"document": document}]}
    return {"session_id": thing["id"], "starts_at": thing["slots"][0]["starts_at"]}


def be_certain(world: World, served: Served) -> None:
    """Let there be each refusal, also on a machine on which the threads were slow."""
    orders, wrong = f"/{served.name}/v1/orders", orjson.dumps({PHONE: NAME})
    asked = (
        ("GET", "/nowhere/v1/x", None),
        ("GET", f"/{served.name}/v1/stores", None),
        ("GET", f"{orders}/nobodys", None),
        ("POST", orders, f'{{"{NAME}'.encode()),
        ("POST", orders, wrong),
    )
    for number, (method, target, body) in enumerate(asked):
        # A token that no limit has met yet comes through to the service.
        ask_once(world, served.issuer.token(PERSON, jti=f"fresh-{number}"), method, target, body)
    once_more = served.issuer.token(PERSON, jti="once more")
    for _ in range(20):
        ask_once(world, once_more, "GET", f"{orders}?q={quote(NAME)}", None)


def ask_once(world: World, token: str, method: str, target: str, body: bytes | None) -> None:
    headers = {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": f"{PHONE}-last",
        "Content-Type": "application/json",
    }
    answer = world.gateway.request(method, target, headers, body)
    world.sent.note(answer.status, token)


def test_nothing_that_identifies_a_person_is_written_under_load(world: World) -> None:
    failing = world.served[0]
    failing.app.handlers[f"GET /{failing.name}/v1/stores"] = _Fails()
    with ThreadPoolExecutor(THREADS) as pool:
        runs = [
            pool.submit(
                trade,
                world,
                served,
                body_of(served.name, errand.scarce(served)),
                f"/{served.name}{errand.path}",
                seed,
            )
            for seed, (served, errand) in enumerate([*zip(world.served, ERRANDS, strict=True)] * 2)
        ]
        for run in runs:
            run.result()
    be_certain(world, failing)
    statuses = world.sent.statuses
    assert {201, 400, 401, 404, 413, 422, 429, 500, 502} <= statuses.keys(), statuses
    world.gateway.log(lines=THREADS * ROUNDS)
    world.sent.note(0, PERSON, AGENT, DELEGATION)
    assert len(world.sent.secrets) > 100
    for where, written in world.written().items():
        found = [secret for secret in world.sent.secrets if secret in written]
        assert found == [], where


def test_there_was_something_to_search(world: World) -> None:
    written = world.written()
    assert b"/v1/orders" in written["gateway-access.log"]
    for served in world.served:
        assert b'"status":401' in written[f"{served.name} log"]
        assert b"sub_" in written[f"{served.name} bucket"]
    assert b'"failure":"ValueError"' in written[f"{world.served[0].name} log"]
    assert re.search(rb"doc_[a-z2-7]{32}", written["tourism bucket"])


class _Fails:
    """A route that fails with what it was sent in its message."""

    def answer(self, environ: Json, path: dict[str, str], language: Language) -> Rendered:
        raise ValueError(f"{path} {environ['QUERY_STRING']} {environ['HTTP_AUTHORIZATION']} {NAME}")
