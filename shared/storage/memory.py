"""An object store in memory that keeps the whole contract, and breaks it on request.

`MemoryBucket` is the store's side: objects and its clock. `MemoryStore` is one client's side, so
several writers can share a bucket, each with its own clock, faults and record of calls.

A fault stands between a client and its bucket for one call. It is a function that is handed the
real operation and decides whether, when and how often to run it:

    store.inject("create", lose_reply)                    # stored, but the caller hears Uncertain
    store.inject("get", refuse(Denied("403")), key="x/")  # the next get of a key under x/
    store.inject("create", gate := Gate())                # held until gate.release()

Faults are consumed once each, in the order they were injected.
"""

import bisect
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from shared.clock import Clock, SystemClock
from shared.storage.objects import Absent, Exists, ObjectInfo, StoreError, Uncertain

T = TypeVar("T")

Apply = Callable[[], Any]
"""The real operation, not yet run."""

Fault = Callable[[Apply], Any]
"""What happens to one operation instead; its value or exception is what the caller gets."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a client made: `outcome` is "ok" or the name of the error it heard."""

    operation: str
    key: str
    outcome: str


class MemoryBucket:
    """Objects behind one lock, so every operation is atomic; `clock` is the store's own."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.versioning = "never"
        self._objects: dict[str, bytes] = {}
        self._keys: list[str] = []  # sorted
        self._lock = threading.Lock()

    def create(self, key: str, body: bytes) -> None:
        with self._lock:
            if key in self._objects:
                raise Exists(key)
            self._objects[key] = bytes(body)
            bisect.insort(self._keys, key)

    def get(self, key: str) -> bytes:
        with self._lock:
            if key not in self._objects:
                raise Absent(key)
            return self._objects[key]

    def get_range(self, key: str, start: int, length: int) -> bytes:
        found = self.get(key)[start : start + length]
        if len(found) != length:
            raise Uncertain(f"{key} has no {length} bytes from {start} on")
        return found

    def list(self, prefix: str, after: str, limit: int) -> list[ObjectInfo]:
        with self._lock:
            start = max(bisect.bisect_left(self._keys, prefix), bisect.bisect(self._keys, after))
            found = []
            for key in self._keys[start : start + limit]:
                if not key.startswith(prefix):
                    break
                found.append(ObjectInfo(key, len(self._objects[key])))
            return found

    def delete(self, key: str) -> None:
        with self._lock:
            if self._objects.pop(key, None) is not None:
                del self._keys[bisect.bisect_left(self._keys, key)]

    def tamper(self, key: str, body: bytes) -> None:
        """Replace an object, which no client may do: for tests of what is noticed."""
        with self._lock:
            self._objects[key] = body


class MemoryStore:
    """One client of a bucket. Implements `ObjectStore`; thread-safe.

    `calls` is every call so far, in the order in which they ended.
    """

    def __init__(self, bucket: MemoryBucket | None = None, clock: Clock | None = None) -> None:
        self.bucket = bucket or MemoryBucket()
        self.clock = clock or SystemClock()
        self.calls: list[Call] = []
        self._faults: deque[tuple[str, str, Fault]] = deque()
        self._lock = threading.Lock()
        self._skew_ms: int | None = None

    def inject(self, operation: str, fault: Fault, *, key: str = "", times: int = 1) -> None:
        """Let `fault` take the next `times` calls of `operation` on keys that begin with `key`."""
        with self._lock:
            self._faults.extend([(operation, key, fault)] * times)

    def count(self, operation: str, key: str = "", outcome: str = "") -> int:
        """How many calls of `operation` were made on keys that begin with `key`."""
        return sum(
            call.operation == operation
            and call.key.startswith(key)
            and (not outcome or call.outcome == outcome)
            for call in list(self.calls)
        )

    def create(self, key: str, body: bytes) -> None:
        self._call("create", key, lambda: self.bucket.create(key, body))

    def get(self, key: str) -> bytes:
        return self._call("get", key, lambda: self.bucket.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._call("get_range", key, lambda: self.bucket.get_range(key, start, length))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        return self._call("list", prefix, lambda: self.bucket.list(prefix, after, limit))

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self.bucket.delete(key))

    def clock_skew_ms(self) -> int | None:
        return self._skew_ms

    def versioning(self) -> str:
        return self._call("versioning", "", lambda: self.bucket.versioning)

    def _call(self, operation: str, key: str, apply: Callable[[], T]) -> T:
        fault = self._next_fault(operation, key)
        outcome = "ok"
        try:
            return self._answered(apply) if fault is None else fault(lambda: self._answered(apply))
        except StoreError as error:
            outcome = type(error).__name__
            raise
        finally:
            self.calls.append(Call(operation, key, outcome))

    def _answered(self, apply: Callable[[], T]) -> T:
        try:
            return apply()
        finally:
            self._skew_ms = self.bucket.clock.now_ms() - self.clock.now_ms()

    def _next_fault(self, operation: str, key: str) -> Fault | None:
        with self._lock:
            for entry in self._faults:
                if entry[0] == operation and key.startswith(entry[1]):
                    self._faults.remove(entry)
                    return entry[2]
        return None


def drop(apply: Apply) -> NoReturn:  # noqa: ARG001 - that it is not run is the fault
    """The request never arrives; the caller hears Uncertain."""
    raise Uncertain("request dropped")


def lose_reply(apply: Apply) -> NoReturn:
    """The operation is applied, if it can be; the caller hears Uncertain."""
    try:
        apply()
    finally:
        raise Uncertain("reply lost")


def refuse(error: StoreError) -> Fault:
    """The operation is not applied; the caller hears `error`, `Exists` for a spurious 409."""

    def fault(apply: Apply) -> NoReturn:  # noqa: ARG001 - as in drop
        raise error

    return fault


def garble(change: Callable[[bytes], bytes]) -> Fault:
    """A get answers with other bytes than those stored."""
    return lambda apply: change(apply())


def delay(clock: Clock, seconds: float) -> Fault:
    """The operation is applied after `seconds` of `clock`."""

    def fault(apply: Apply) -> Any:
        clock.sleep(seconds)
        return apply()

    return fault


class Late:
    """The caller hears Uncertain at once; the request arrives when the test says `land()`."""

    def __init__(self) -> None:
        self._apply: Apply | None = None

    def __call__(self, apply: Apply) -> NoReturn:
        self._apply = apply
        raise Uncertain("no answer in time")

    def land(self) -> None:
        """Apply the request now. Raises what the store would have answered to it."""
        if self._apply is None:
            raise RuntimeError("no request has been taken yet")
        self._apply()


class Gate:
    """Holds the request, or with `reply=True` the reply, until `release()`."""

    def __init__(self, *, reply: bool = False, limit_seconds: float = 30) -> None:
        self._reply = reply
        self._limit_seconds = limit_seconds
        self._reached = threading.Event()
        self._released = threading.Event()

    def __call__(self, apply: Apply) -> Any:
        if self._reply:
            try:
                return apply()
            finally:
                self._hold()
        self._hold()
        return apply()

    def wait(self) -> None:
        """Return when an operation stands at the gate."""
        if not self._reached.wait(self._limit_seconds):
            raise TimeoutError("no operation came to the gate")

    def release(self) -> None:
        """Let it go on."""
        self._released.set()

    def _hold(self) -> None:
        self._reached.set()
        if not self._released.wait(self._limit_seconds):
            raise TimeoutError("the gate was never released")
