"""People who take and give back over HTTP as careful apps do, and remember what they were told.

Whoever gets no definite answer (503, 502, 504, 429, a timeout, a lost connection) asks again with
the same Idempotency-Key until there is one. A refusal that follows an indefinite answer is not
definite either: the earlier attempt may still be under way somewhere, and refusals are not
remembered. Such intents are `unsure` until `settle` asks once more, when nothing is under way.

What they trade in (units, places, a doctor's hours) is a `Venue`.
"""

import json
import random
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from typing import Any, Protocol

from tests.support.fleet import Door
from tests.support.waiting import wait_until

Body = dict[str, Any]

_TOO_MANY = 429
_LATER = frozenset({_TOO_MANY, 502, 503, 504})
_PAUSE_SECONDS = 0.2
_INSISTING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A request that got no answer: over a connection that had served before, or over a new one."""

    kept: bool
    error: Exception


@dataclass(frozen=True, slots=True)
class Reply:
    """A definite answer. `sure` is false for a refusal that came after an indefinite one."""

    status: int
    body: Body
    sure: bool = True
    etag: str = ""

    @property
    def problem(self) -> str:
        """The slug of the problem that it is."""
        return str(self.body["type"]).rpartition("/")[2]


class Client:
    """One account at one door, one request at a time, over one connection while it `keeps` it."""

    def __init__(self, door: Door, token: str, *, keeps: bool = True) -> None:
        self._door = door
        self._token = token
        self._keeps = keeps
        self._connection: HTTPConnection | None = None
        self.slowest_seconds = 0.0
        self.last = "nothing"
        self.lost: list[Lost] = []
        self.limited = False
        """Whether the latest request was one too many: nothing was begun for it."""

    def ask(
        self, method: str, path: str, body: Body | None = None, key: str = "", etag: str = ""
    ) -> Reply | None:
        """The answer to one request; None where it is not definite."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if key:
            headers["Idempotency-Key"] = key
        if etag:
            headers["If-Match"] = etag
        if body is not None:
            headers["Content-Type"] = "application/json"
        sent = None if body is None else json.dumps(body).encode()
        kept = self._connection is not None and self._connection.sock is not None
        if self._connection is None:
            self._connection = self._door.connection()
        self.limited = False
        began = time.monotonic()
        try:
            self._connection.request(method, path, sent, headers)
            answer = self._connection.getresponse()
            received = answer.read()
            if not self._keeps:
                self.close()
        except (OSError, HTTPException) as error:
            self.last = repr(error)
            self.lost.append(Lost(kept, error))
            self.close()
            return None
        finally:
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        self.last = f"{answer.status} {received[:300].decode(errors='replace')}"
        if answer.status in _LATER:
            self.limited = answer.status == _TOO_MANY
            return None
        return Reply(answer.status, json.loads(received), etag=answer.getheader("ETag", ""))

    def insist(self, path: str, body: Body | None, key: str) -> Reply:
        """POST until there is a definite answer."""
        deadline = time.monotonic() + _INSISTING_SECONDS
        sure = True
        while (reply := self.ask("POST", path, body, key)) is None:
            sure = sure and self.limited
            assert time.monotonic() < deadline, f"no answer to POST {path}"
            time.sleep(_PAUSE_SECONDS)
        return reply if sure or reply.status == 201 else Reply(reply.status, reply.body, sure=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def new_key() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class _Intent:
    """A POST, until it is answered for good; then `record` is told."""

    client: Client
    path: str
    body: Body | None
    key: str
    record: Callable[[Reply], None]

    def insist(self) -> Reply:
        return self.client.insist(self.path, self.body, self.key)


class Party(ABC):
    """One who takes, reads and gives back, as one account at a time."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.surprises: list[str] = []
        self._unsure: list[_Intent] = []

    @abstractmethod
    def trade(self, chance: random.Random) -> bool:
        """Do one thing or a few; whether something was taken, and that was acknowledged."""

    def post(
        self, path: str, body: Body | None, record: Callable[[Reply], None], key: str = ""
    ) -> Reply:
        """POST until there is an answer. `record` is told once, of a 201 or a 409 that is sure."""
        intent = _Intent(self.client, path, body, key or new_key(), record)
        reply = intent.insist()
        self._take(intent, reply)
        return reply

    def _take(self, intent: _Intent, reply: Reply) -> None:
        if reply.status not in (201, 409):
            self.surprises.append(f"POST {intent.path} was answered {reply}")
        elif reply.sure:
            intent.record(reply)
        else:
            self._unsure.append(intent)

    def look(self, path: str) -> None:
        """Read something own: what was acknowledged is there, at once, behind every door."""
        reply = self.client.ask("GET", path)
        if reply is not None and reply.status != 200:
            self.surprises.append(f"something acknowledged was answered {reply}")

    def settle(self) -> None:
        """Learn what became of the unsure. To be called when no request is under way anywhere."""
        unsure, self._unsure = self._unsure, []
        for intent in unsure:
            self._take(intent, intent.insist())
            intent.client.close()
        self.client.close()
        assert not self._unsure, "the platform is still not steady"


class Books(Protocol):
    """What an audit of the journal found."""

    @property
    def taken(self) -> int:
        """How many orders, bookings or appointments there are."""

    @property
    def entries(self) -> int: ...


class Venue(Protocol):
    """A place where things are taken, and all that anybody was told there."""

    def party(self, door: Door, *, keeps: bool) -> Party:
        """Another one who takes, at a door."""

    def keep(self, door: Door, chance: random.Random, stop: threading.Event) -> None:
        """Run the place until `stop`."""

    def assert_books_agree(self) -> Books:
        """The journal breaks no law and contradicts nobody."""


class Crowd:
    """Citizens, and who keeps the place, at it until told to stop. A seed repeats their intents."""

    def __init__(
        self,
        venue: Venue,
        doors: Sequence[Door],
        *,
        citizens: int,
        seed: int,
        keeps: bool = True,
    ) -> None:
        self.citizens = [
            venue.party(doors[number % len(doors)], keeps=keeps) for number in range(citizens)
        ]
        self.acknowledged: list[list[float]] = [[] for _ in doors]
        self.failures: list[str] = []
        self._stop = threading.Event()
        runs: list[Callable[[], None]] = [
            partial(self._trade, citizen, random.Random(f"{seed}-{number}"), number % len(doors))
            for number, citizen in enumerate(self.citizens)
        ]
        runs.append(partial(venue.keep, doors[0], random.Random(f"{seed}-keeper"), self._stop))
        self._threads = [threading.Thread(target=self._watched, args=(run,)) for run in runs]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let everyone finish what they are at."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def settle(self) -> None:
        """Resolve what is unsure; fail if anybody was surprised."""
        for citizen in self.citizens:
            citizen.settle()
        assert self.failures == []
        assert [each for citizen in self.citizens for each in citizen.surprises] == []

    def await_trade(self, seconds: float = 40) -> None:
        """Return once something was taken, and that acknowledged, behind every door from now on."""
        # Of the next ones, as many as there are citizens may have been begun before.
        begun = len(self.citizens) // len(self.acknowledged)
        before = [len(times) for times in self.acknowledged]
        wait_until(
            lambda: all(
                len(times) > number + begun
                for times, number in zip(self.acknowledged, before, strict=True)
            ),
            "something is taken again",
            seconds=seconds,
            seen=lambda: self._seen(before),
        )

    def _seen(self, before: Sequence[int]) -> str:
        """What those who wait for trade want to know when there is none."""
        taken = [
            len(times) - number for times, number in zip(self.acknowledged, before, strict=True)
        ]
        last = sorted({citizen.client.last for citizen in self.citizens})
        surprises = [each for citizen in self.citizens for each in citizen.surprises]
        return f"Taken behind each door: {taken}; last heard: {last}; {self.failures}; {surprises}"

    def longest_gap(self, since: float, until: float) -> float:
        """The longest time, in seconds, in which nothing was taken behind some door."""
        gaps: list[float] = []
        for door in self.acknowledged:
            within = [since, *(at for at in list(door) if since < at < until), until]
            gaps += [after - before for before, after in pairwise(sorted(within))]
        return max(gaps)

    @property
    def lost(self) -> list[Lost]:
        """The citizens' requests that got no answer."""
        return [each for citizen in self.citizens for each in citizen.client.lost]

    @property
    def slowest_seconds(self) -> float:
        """The longest that a citizen waited for any answer."""
        return max(citizen.client.slowest_seconds for citizen in self.citizens)

    def _watched(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - it is the test's thread that has to fail
            self.failures.append(repr(error))

    def _trade(self, citizen: Party, chance: random.Random, door: int) -> None:
        with closing(citizen.client):
            while not self._stop.is_set():
                if citizen.trade(chance):
                    self.acknowledged[door].append(time.monotonic())
                self._stop.wait(chance.uniform(0, 0.03))
