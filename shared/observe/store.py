"""`ObservedStore`: an object store whose requests are measured, and are spans of those looked at.

A span has the operation, what came of it, the bytes, and the key of a journal's entry. Of any other
key it has the folder alone: what lies there may be named after a person's id.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from shared import tracing
from shared.clock import Clock
from shared.storage.objects import Absent, Exists, ObjectInfo, ObjectStore, StoreError
from shared.tracing import Span

T = TypeVar("T")

OK = "ok"


class Requests(Protocol):
    """Counts requests to a store. Thread-safe."""

    def answered(self, operation: str, outcome: str, seconds: float, *, is_error: bool) -> None:
        """A request has an answer, or never will have one. `outcome` is `ok` or an error's kind."""


class ObservedStore:
    """Another store, and who listens. Implements `ObjectStore`."""

    def __init__(self, store: ObjectStore, clock: Clock, meter: Requests | None) -> None:
        self._store = store
        self._clock = clock
        self._meter = meter

    def create(self, key: str, body: bytes) -> None:
        self._asked("create", key, lambda: self._store.create(key, body), len(body))

    def get(self, key: str) -> bytes:
        return self._asked("get", key, lambda: self._store.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._asked("get", key, lambda: self._store.get_range(key, start, length))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return self._asked(
            "list", prefix, lambda: self._store.list(prefix, after=after, limit=limit)
        )

    def delete(self, key: str) -> None:
        self._asked("delete", key, lambda: self._store.delete(key))

    def clock_skew_ms(self) -> int | None:
        return self._store.clock_skew_ms()

    def versioning(self) -> str:
        return self._asked("versioning", "", self._store.versioning)

    def _asked(self, operation: str, key: str, work: Callable[[], T], sent: int = 0) -> T:
        began = self._clock.monotonic()
        parent = tracing.span()
        span = None if parent is None else parent.child(f"store.{operation}", "client", began)
        outcome, is_error = OK, False
        try:
            answer = work()
        except StoreError as error:
            outcome, is_error = kind_of(error), not isinstance(error, Absent | Exists)
            raise
        else:
            if span is not None:
                _note_bytes(span, sent, answer)
            return answer
        finally:
            if self._meter is not None:
                seconds = self._clock.monotonic() - began
                self._meter.answered(operation, outcome, seconds, is_error=is_error)
            if span is not None:
                span.attributes.update(
                    {"gansu.store.key": told(key), "gansu.store.outcome": outcome}
                )
                span.failed = is_error
                span.end()


def kind_of(error: StoreError) -> str:
    """`uncertain`, `denied`, …"""
    return type(error).__name__.lower()


def told(key: str) -> str:
    """What may be said of a key."""
    folder, _, _ = key.rpartition("/")
    return key if folder.endswith("/journal") else f"{folder}/…"


def _note_bytes(span: Span, sent: int, answer: object) -> None:
    if sent:
        span.attributes["gansu.store.sent_bytes"] = sent
    if isinstance(answer, bytes):
        span.attributes["gansu.store.received_bytes"] = len(answer)
