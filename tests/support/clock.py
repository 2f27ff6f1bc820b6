"""A clock that a test moves by hand; `shared.clock.Clock`."""

import threading

from shared.clock import SystemClock

NEW_YEAR_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


class FakeClock:
    """Wall time stands still until it is moved; monotonic time runs, and can be made to jump.

    Monotonic time has to run: on a clock that stands still every proof of the head would count as
    begun just now, and no read could ever be found stale.
    """

    def __init__(self, wall_ms: int = NEW_YEAR_MS) -> None:
        self.wall_ms = wall_ms
        self._system = SystemClock()
        self._ahead_seconds = 0.0
        self._burnt = threading.local()
        self._hurried = threading.Event()

    # What a test does

    def pass_wall(self, *, hours: float = 0, seconds: float = 0) -> None:
        """Move wall time, back too."""
        self.wall_ms += round((hours * 3600 + seconds) * 1000)

    def pass_monotonic(self, seconds: float) -> None:
        """Let monotonic time jump ahead."""
        self._ahead_seconds += seconds

    def burn(self, seconds: float) -> None:
        """Have the calling thread use processor time, without using any; it takes as long."""
        self._ahead_seconds += seconds
        self._burnt.seconds = getattr(self._burnt, "seconds", 0.0) + seconds

    def hurry(self) -> None:
        """Until `rest`, nobody sleeps: to end threads without waiting for them."""
        self._hurried.set()

    def rest(self) -> None:
        self._hurried.clear()

    # What the engine asks

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return self._system.monotonic() + self._ahead_seconds

    def cpu(self) -> float:
        burnt: float = getattr(self._burnt, "seconds", 0.0)
        return self._system.cpu() + burnt

    def sleep(self, seconds: float) -> None:
        self._hurried.wait(seconds)

    def random(self, size: int) -> bytes:
        return self._system.random(size)
