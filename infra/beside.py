"""A program that runs beside the one a container is for, and may die without harm to it.

It is started again, after a pause that grows while it keeps dying. Whoever has it looks at it now
and then (`look`), in its own loop, and ends it.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.clock import Clock

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 1.0, 60.0
LIVES_SECONDS = 60.0
"""After so long a life it died of something new."""

STOP_SECONDS = 5.0


@dataclass(slots=True)
class Beside:
    """One program, by its command; its output is the container's."""

    argv: Sequence[str]
    clock: Clock
    say: Callable[[str], None]
    _process: subprocess.Popen[bytes] | None = None
    _began: float = 0.0
    _pause: float = PAUSE_SECONDS
    _not_before: float = 0.0

    @property
    def pid(self) -> int | None:
        """Of what runs, or ran last."""
        return self._process.pid if self._process else None

    def look(self) -> None:
        """Have it running, if it is time to. Never raises."""
        now = self.clock.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            self._process = None
            self._lost(now, f"ended with {status}")
        if now >= self._not_before:
            self._start(now)

    def stop(self) -> None:
        """Let it finish, for so long at most."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self, now: float) -> None:
        self._began = now
        try:
            self._process = subprocess.Popen(self.argv)
        except OSError as failure:
            self._lost(now, f"does not start: {failure}")

    def _lost(self, now: float, how: str) -> None:
        if now - self._began > LIVES_SECONDS:
            self._pause = PAUSE_SECONDS
        self.say(f"{' '.join(self.argv[1:3])} {how}; it is started again in {self._pause:.0f} s")
        self._not_before = now + self._pause
        self._pause = min(self._pause * 2, PAUSE_SECONDS_MAX)
