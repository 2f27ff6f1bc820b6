"""`Pulse`: an object store that also knows whether it has been answering lately.

    store = Pulse(S3Store(…), clock)
    if store.is_away(): …                  # whoever asks it now would wait in vain

A store that is gone refuses at once, a frozen one keeps everybody waiting for seconds. Once it is
known to be away, requests that need it are refused at once, and what can do without it goes on
(docs/decisions/0130). It is away

- when requests failed for `AWAY_SECONDS` and none was answered in between, or
- when a read has been waiting for `SILENT_SECONDS` and nothing was answered since it began;

and back with the first answer to a request of afterwards, this process's own or another's of the
container (`heard`). The tailer asks all the time. Should it be frozen itself, one caller is let
through every `TRIAL_SECONDS`.

Answers are all that the store says of keys: absent and taken as well. What it says of credentials
and buckets is none: whoever is not let in is as far away.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.clock import Clock
from shared.storage.objects import (
    Denied,
    Misconfigured,
    ObjectInfo,
    ObjectStore,
    StoreError,
    Uncertain,
)

AWAY_SECONDS = 2.0
SILENT_SECONDS = 3.0
TRIAL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Silence:
    """Since when (monotonic) the store has not answered, and what the last failure was."""

    began: float
    told: str


class Pulse:
    """Implements `ObjectStore`; thread-safe."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[int, float] = {}
        self._asked = 0
        self._answered_at: float | None = None
        self._failing_since: float | None = None
        self._failed_at = float("-inf")
        self._failure = ""

    # What is known

    @property
    def answered_at(self) -> float | None:
        """When a request was last answered (monotonic); None before the first."""
        return self._answered_at

    def silence(self) -> Silence | None:
        """What has failed since the last answer; None while nothing has."""
        with self._lock:
            since = self._failing_since
            return None if since is None else Silence(since, self._failure)

    def heard(self, began: float) -> None:
        """Somebody else of this container had an answer to what was asked at `began`."""
        if began > float("-inf"):
            with self._lock:
                self._note_answer(began, began)

    def is_away(self) -> bool:
        """Whether asking is known to be in vain."""
        now = self._clock.monotonic()
        with self._lock:
            since = self._failing_since
            if since is not None and self._failed_at - since >= AWAY_SECONDS:
                return True
            answered = float("-inf") if self._answered_at is None else self._answered_at
            return any(answered < began <= now - SILENT_SECONDS for began in self._waiting.values())

    def refuses(self) -> bool:
        """As `is_away`, but that one caller may try now and then."""
        if not self.is_away():
            return False
        now = self._clock.monotonic()
        with self._lock:
            if self._waiting or now - self._failed_at < TRIAL_SECONDS:
                return True
            self._failed_at = now
            return False

    # What is asked

    def create(self, key: str, body: bytes) -> None:
        # Some stores take seconds for a contended one, and answer all else meanwhile.
        with self._watched(may_hang=True):
            self._store.create(key, body)

    def get(self, key: str) -> bytes:
        with self._watched():
            return self._store.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with self._watched():
            return self._store.get_range(key, start, length)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        with self._watched():
            return self._store.list(prefix, after=after, limit=limit)

    def delete(self, key: str) -> None:
        # That one may not delete is how it should be, and says nothing.
        self._store.delete(key)

    def clock_skew_ms(self) -> int | None:
        return self._store.clock_skew_ms()

    def versioning(self) -> str:
        return self._store.versioning()

    @contextmanager
    def _watched(self, *, may_hang: bool = False) -> Iterator[None]:
        began = self._clock.monotonic()
        with self._lock:
            self._asked += 1
            number = self._asked
            if not may_hang:
                self._waiting[number] = began
        try:
            yield
        except (Uncertain, Denied, Misconfigured) as error:
            with self._lock:
                self._note_failure(began, error)
            raise
        except StoreError:
            with self._lock:
                self._note_answer(began, self._clock.monotonic())
            raise
        else:
            with self._lock:
                self._note_answer(began, self._clock.monotonic())
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _note_failure(self, began: float, error: StoreError) -> None:
        if self._answered_at is not None and began < self._answered_at:
            return  # it was asked before the last answer, so it tells of earlier
        if self._failing_since is None:
            self._failing_since = began
        self._failed_at = self._clock.monotonic()
        self._failure = error.told()

    def _note_answer(self, began: float, at: float) -> None:
        if self._failing_since is None or began >= self._failing_since:
            self._failing_since = None
            if self._answered_at is None or at > self._answered_at:
                self._answered_at = at
