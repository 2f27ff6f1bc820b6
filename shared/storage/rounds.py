"""`Rounds`: how one process's commit rounds go, and whether anybody should still queue behind them.

Whoever cannot be served soon is refused at once: a store that takes no writes, or a round that
hangs in it, must not keep a queue of people waiting for what their clients would do better, which
is to come back. Somebody still gets through each time the hold is over, so that it ends by itself.
"""

import threading
from dataclasses import dataclass

from shared.clock import Clock

STALL_SECONDS = 5.0
"""A round that has taken so long hangs: nobody queues behind it any more."""

FAILED_ROUNDS_MAX = 2
"""So many rounds in a row that the store did not decide are no hiccup."""

HOLD_SECONDS = 1.0
"""After such a round, before somebody may try again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the latest round ended, `at` (monotonic): with `trouble`, or empty if it was decided."""

    at: float
    trouble: str


class Rounds:
    """Told by the committing thread, asked by everyone. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._failed = 0
        self.latest: Outcome | None = None

    def begin(self) -> None:
        """Another attempt of a round begins."""
        with self._lock:
            self._began = self._clock.monotonic()

    def decided(self) -> None:
        """Its outcome is known, and about to be told: nobody has to wait for it any more."""
        with self._lock:
            self._began = None

    def end(self, trouble: str, *, by_store: bool) -> None:
        """The round is over. `by_store`: it is the store that kept it from being decided."""
        with self._lock:
            self._began = None
            self._failed = self._failed + 1 if trouble and by_store else 0
            self.latest = Outcome(self._clock.monotonic(), trouble)

    def under_way_seconds(self) -> float:
        """For how long the attempt has been under way that is; 0 if none is."""
        began = self._began
        return 0.0 if began is None else self._clock.monotonic() - began

    def are_held_up(self) -> bool:
        """Whether one more who queues would wait for long, and most likely in vain."""
        if self.under_way_seconds() > STALL_SECONDS:
            return True
        with self._lock:
            if self._failed < FAILED_ROUNDS_MAX or self.latest is None:
                return False
            held = self._clock.monotonic() - self.latest.at < HOLD_SECONDS
            return held or self._began is not None
