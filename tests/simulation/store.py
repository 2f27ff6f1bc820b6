"""The object store: requests under way, answers that are late, lost, wrong or unclear.

A request is a message. It reaches the bucket after a while, is applied there at once, and its
answer comes back after another while, whatever has become of who sent it. Each fault is a way in
which that goes wrong; a client waits `PATIENCE_SECONDS`, as the S3 client does.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.storage.memory import MemoryBucket
from shared.storage.objects import Denied, Exists, ObjectInfo, StoreError, Uncertain
from tests.simulation.machine import MachineClock
from tests.simulation.scheduler import Scheduler, Waiters

T = TypeVar("T")

PATIENCE_SECONDS = 10.0

FAULTS = (
    "delayed",  # it takes up to seconds
    "reply lost",  # applied; the connection is reset
    "reply lost silently",  # applied; no answer comes within the client's patience
    "dropped",  # never arrives
    "late",  # applied, if it can be, after the client gave up
    "500",  # not applied
    "500 though applied",
    "503",  # SlowDown
    "409",  # a create is refused though nobody holds the key
    "412 though applied",  # as where something on the way sent it twice
    "403",  # for a moment the credentials are not known
)


@dataclass(slots=True)
class Weather:
    """How often each fault happens to a request, and how long requests take."""

    odds: dict[str, float] = field(default_factory=dict)
    latency_seconds: float = 0.005
    seen: Counter[str] = field(default_factory=Counter)

    def clear_up(self) -> None:
        self.odds.clear()


class SimulatedStore:
    """One process's client. Implements `ObjectStore`."""

    def __init__(
        self, here: Scheduler, bucket: MemoryBucket, weather: Weather, clock: MachineClock
    ) -> None:
        self._scheduler = here
        self._bucket = bucket
        self._weather = weather
        self._clock = clock
        self._skew_ms: int | None = None

    def create(self, key: str, body: bytes) -> None:
        self._ask("create", lambda: self._bucket.create(key, body))

    def get(self, key: str) -> bytes:
        return self._ask("get", lambda: self._bucket.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._ask("get_range", lambda: self._bucket.get_range(key, start, length))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return self._ask("list", lambda: self._bucket.list(prefix, after, limit))

    def delete(self, key: str) -> None:
        self._ask("delete", lambda: self._bucket.delete(key))

    def clock_skew_ms(self) -> int | None:
        return self._skew_ms

    def versioning(self) -> str:
        return self._bucket.versioning

    def _ask(self, operation: str, apply: Callable[[], T]) -> T:
        here = self._scheduler
        here.pause(operation)
        request = _Request(here, apply, self._fault(operation), self._weather)
        request.send()
        here.block(request.waiters, PATIENCE_SECONDS)
        here.pause(f"{operation} answered")
        answer = request.answer
        if answer is None:
            raise Uncertain("no answer in time")
        if isinstance(answer, Exception):
            if not isinstance(answer, Uncertain):
                self._hear()
            raise answer
        self._hear()
        value: T = answer[0]
        return value

    def _hear(self) -> None:
        """The Date header, in whole seconds."""
        self._skew_ms = self._bucket.clock.now_ms() // 1000 * 1000 - self._clock.now_ms()

    def _fault(self, operation: str) -> str:
        draw = self._scheduler.random.random()
        for fault, odds in self._weather.odds.items():
            draw -= odds
            if draw < 0:
                if fault in ("409", "412 though applied") and operation != "create":
                    return ""
                self._weather.seen[fault] += 1
                return fault
        return ""


class _Request:
    """One message to the bucket and, perhaps, back."""

    def __init__(
        self, here: Scheduler, apply: Callable[[], Any], fault: str, weather: Weather
    ) -> None:
        self._scheduler = here
        self._apply = apply
        self._fault = fault
        self._weather = weather
        self.waiters = Waiters()
        self.answer: tuple[Any] | StoreError | None = None

    def send(self) -> None:
        if self._fault in ("500", "503", "409", "403"):
            self._reply(_refusal(self._fault))
        elif self._fault == "dropped":
            if self._scheduler.random.random() < 0.5:
                self._reply(Uncertain("connection reset"))
        else:
            self._scheduler.after(self._way(), self._arrive)

    def _way(self) -> float:
        random = self._scheduler.random
        if self._fault == "late":
            return PATIENCE_SECONDS + random.expovariate(1 / PATIENCE_SECONDS)
        if self._fault == "delayed":
            return random.random() * 4
        return random.expovariate(1 / self._weather.latency_seconds)

    def _arrive(self) -> None:
        answer: tuple[Any] | StoreError
        try:
            answer = (self._apply(),)
        except StoreError as error:
            answer = error
        if self._fault in {"reply lost silently", "late"}:
            return
        if self._fault == "reply lost":
            answer = Uncertain("connection reset")
        elif self._fault == "500 though applied":
            answer = Uncertain("500")
        elif self._fault == "412 though applied":
            answer = Exists("412")
        self._reply(answer)

    def _reply(self, answer: tuple[Any] | StoreError) -> None:
        def come() -> None:
            self.answer = answer
            self._scheduler.wake(self.waiters)

        self._scheduler.after(
            self._scheduler.random.expovariate(1 / self._weather.latency_seconds), come
        )


def _refusal(fault: str) -> StoreError:
    # A new one each time: an exception that is raised again keeps every frame it ever went through.
    errors = {"500": Uncertain, "503": Uncertain, "409": Exists, "403": Denied}
    return errors[fault](fault)
