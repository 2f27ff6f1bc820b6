"""How a process is: what each of its parts says of itself, for operators and their machines.

    condition = Condition(clock, DatabaseState(…), KeysState(…))
    condition.checks()      # for /health/ready: asks anew, and answers within a second all the same
    condition.known()       # for measures: what is known, at once
    condition.stuck()       # for /health/live: why a restart would help

A check is `ok`; `degraded` where something is refused, old or at risk, but reads are served; and
`failing` where this container cannot serve reads, though another may. Only the last makes it not
ready (docs/decisions/0131): what is wrong everywhere at once, such as a store that is away, must
not take every container out of service.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from shared import waiting
from shared.clock import Clock
from shared.waiting import Signal

log = logging.getLogger(__name__)

State = Literal["ok", "degraded", "failing"]

LOOK_SECONDS = 0.8
"""Whoever asks waits no longer for news: orchestrators give an answer one second."""

LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a part says of one thing: a sentence, and the way out unless it is `ok`."""

    name: str
    state: State
    says: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A finding, and since when (milliseconds UTC) its state has been what it is."""

    name: str
    state: State
    since_ms: int
    says: str
    advice: str


class Part(Protocol):
    """A part of a process that knows how it is."""

    def look(self) -> None:
        """Ask what takes its time; it may take seconds, and may raise."""

    def findings(self) -> Sequence[Finding]:
        """What is known, at once."""

    def stuck(self) -> Sequence[str]:
        """What stands still for good, each in one sentence; empty while nothing does."""


class Condition:
    """How one process is. Thread-safe; made after fork, or at least not asked before."""

    def __init__(self, clock: Clock, *parts: Part) -> None:
        self._clock = clock
        self._parts = parts
        self._lock = threading.Lock()
        self._looking = False
        self._looked_at = float("-inf")
        self._waiting: list[Signal] = []
        self._since: dict[str, tuple[State, int]] = {}

    def begin(self) -> None:
        """Look for the first time, and do not wait for it: a process that is first asked for
        something while the store is away would have nothing to answer from.
        """
        self._look_soon()

    def checks(self) -> list[Check]:
        """How everything is, as of now if that can be had within `LOOK_SECONDS`."""
        seen = self._look_soon()
        if seen is not None and not seen.wait(LOOK_SECONDS):
            self._leave(seen)
        return self.known()

    def known(self) -> list[Check]:
        """How everything is, as far as it is known."""
        return [self._dated(found) for part in self._parts for found in part.findings()]

    def is_ready(self) -> bool:
        """Whether reads can be served here, as far as it is known."""
        return all(check.state != "failing" for check in self.known())

    def stuck(self) -> list[str]:
        """Why this process should be started anew; empty while it moves."""
        return [said for part in self._parts for said in part.stuck()]

    def _look_soon(self) -> Signal | None:
        """Something to wait for until the parts were asked; None where they just have been."""
        with self._lock:
            fresh = self._clock.monotonic() - self._looked_at < LOOK_EVERY_SECONDS
            if not self._parts or (fresh and not self._looking):
                return None
            seen = waiting.signal()
            self._waiting.append(seen)
            begins, self._looking = not self._looking, True
        if begins:
            self._begin()
        return seen

    def _leave(self, seen: Signal) -> None:
        """Wait no longer: a look may take minutes, and anyone may ask meanwhile."""
        with self._lock:
            if seen in self._waiting:
                self._waiting.remove(seen)

    def _begin(self) -> None:
        try:
            threading.Thread(target=self._look, name="condition", daemon=True).start()
        except RuntimeError:  # no thread is to be had; what is known has to do
            self._tell()

    def _look(self) -> None:
        try:
            for part in self._parts:
                _safely(part.look)
        finally:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            self._looking = False
            self._looked_at = self._clock.monotonic()
            told, self._waiting = self._waiting, []
        for each in told:
            each.set()

    def _dated(self, found: Finding) -> Check:
        with self._lock:
            before, since_ms = self._since.get(found.name, (None, 0))
            if before != found.state:
                since_ms = self._clock.now_ms()
                self._since[found.name] = found.state, since_ms
        if before != found.state and (before is not None or found.state != "ok"):
            log.warning("%s is %s: %s", found.name, found.state, found.says)
        return Check(found.name, found.state, since_ms, found.says, found.advice)


def _safely(look: Callable[[], None]) -> None:
    try:
        look()
    except Exception as error:  # noqa: BLE001 - findings say what is known without it
        log.warning("a check could not be made: %r", error)
