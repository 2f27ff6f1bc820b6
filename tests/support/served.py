"""A service over HTTP, in-process and in memory: the real application on the real engine.

class Shop(Served): …       what one service's tests need beside asking it

with Shop(tmp_path) as shop:
    answer = shop.get("/v1/orders", by="citizen-1")
"""

import gzip
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from werkzeug.test import Client, TestResponse

from shared import divisions
from shared.condition import Condition, Finding, Part
from shared.divisions import Divisions
from shared.storage.access import Database
from shared.storage.archiver import archivers
from shared.storage.catalogue import Catalogue
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket, MemoryStore
from shared.storage.state import DatabaseState
from shared.times import DAY_MS, MINUTE_MS
from shared.web.log import RequestLog
from shared.web.service import Application, Edge
from tests.support.clock import FakeClock
from tests.support.tokens import ALL_SCOPES, SUBJECT_KEY, Issuer, roles_of

BODY_BYTES_MAX = 64 << 10

Json = dict[str, Any]
Create = Callable[[Database, Edge, Condition], Application]


@cache
def all_divisions() -> Divisions:
    return divisions.read(divisions.FILE)


class Said:
    """A part of a process that says what a test has it say."""

    def __init__(self, *found: Finding, stuck: tuple[str, ...] = ()) -> None:
        self.found = found
        self.standing = stuck

    def look(self) -> None:
        pass

    def findings(self) -> tuple[Finding, ...]:
        return self.found

    def stuck(self) -> tuple[str, ...]:
        return self.standing


class Unfed(JournalDatabase):
    """A database whose searches alone feed the index: what one finds hangs on no other thread.

    While a feeder is at it a search waits for half a second (`finder.TURN_SECONDS`) and then does
    without what was just written, or is busy: on a machine with much to do, now and then.
    """

    def feed(self) -> None:
        pass


class Served:
    """The service `name`, and people to call it. `log` holds the lines that it wrote."""

    def __init__(
        self,
        directory: Path,
        name: str,
        catalogue: Catalogue,
        create: Create,
        *,
        part: Part | None = None,
        subject_key: bytes = SUBJECT_KEY,
        database: type[JournalDatabase] = Unfed,
    ) -> None:
        self.name = name
        self.subject_key = subject_key
        self.clock = FakeClock()
        self.issuer = Issuer(self.clock)
        self.bucket = MemoryBucket(self.clock)
        self.store = MemoryStore(self.bucket, clock=self.clock)
        self.log: list[bytes] = []
        self.verifier = self.issuer.verifier(audience=name, key=subject_key)
        self.database = database(
            self.store, catalogue, prefix=f"{name}/", directory=directory, clock=self.clock
        )
        self.edge = Edge(
            verifier=self.verifier,
            request_key=f"a request key of {name} that only tests know".encode(),
            clock=self.clock,
            log=RequestLog(name, self.clock, self.log.append),
            body_bytes_max=BODY_BYTES_MAX,
        )
        state = part or DatabaseState(self.database, self.clock)
        self.app = create(self.database, self.edge, Condition(self.clock, state))
        self.client = Client(self.app)
        self._keys = count(1)
        self._tokens: dict[tuple[str, int], str] = {}

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

    def stored(self) -> bytes:
        """Every object of the bucket, opened up where it is compressed."""
        objects = [self.store.get(row.key) for row in self.store.list("", limit=100_000)]
        stored = b"".join(objects)
        for item in objects:
            with suppress(OSError):
                stored += gzip.decompress(item)
        return stored

    def archive(self, days: int = 90) -> None:
        """Let all leave that has been over for so long, as a container would by and by."""
        for maker in archivers(
            self.database._catalogue,
            self.store,
            f"{self.name}/",
            self.clock,
            kept_ms=days * DAY_MS,
            read=self.database._read_replica,
            commit=self.database._commit,
            stopped=lambda: False,
        ):
            maker.make(f"{self.name}/archive/claims/{self.new_key()}")

    def in_replica(self, collection: str) -> list[str]:
        """The keys of the documents that have not left."""
        with self.database._opened().follower.reading() as reader:
            return [key for name, key, *_ in reader.dump() if name == collection]

    # Requests

    def token(self, account: str) -> str:
        """A token for an account whose name says what it is: citizen-1, merchant-1, gate-1."""
        name = account, self.clock.now_ms() // (30 * MINUTE_MS)
        if name not in self._tokens:
            self._tokens[name] = self.issuer.token(account, roles=roles_of(account))
        return self._tokens[name]

    def acting(
        self,
        person: str,
        *,
        agent: str = "agent-1",
        kind: str = "station_agent",
        delegation: str = "delegation_1",
        scope: str = ALL_SCOPES,
        roles: list[str] | None = None,
    ) -> str:
        """A token with which `agent` acts for `person`, as the issuer would give it."""
        act = {"sub": agent, "kind": kind, "delegation": delegation}
        return self.issuer.token(person, act=act, scope=scope, roles=roles or ["citizen"])

    def everyone(self) -> str:
        """A token of the account "everyone", who has every role."""
        return self.token("everyone")

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
        """One request to `/‹name›‹path›`. A POST gets a fresh Idempotency-Key unless given one;
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
        return self.client.open(f"/{self.name}{path}", method=method, data=data, headers=sent)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> TestResponse:
        return self.ask("POST", path, body, **options)


def json_of(answer: TestResponse) -> Json:
    """The JSON object in an answer."""
    body = answer.get_json()
    assert isinstance(body, dict), answer.text
    return body


def in_both(served: Served, path: str) -> tuple[Json, Json]:
    """What everyone is answered in Chinese, and in English."""
    english = served.get(path, headers={"Accept-Language": "en"})
    return json_of(served.get(path)), json_of(english)


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
