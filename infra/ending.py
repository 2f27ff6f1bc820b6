"""What Ctrl-C, SIGTERM and SIGHUP ask a runner for: the end, and asked again, haste.

A signal is counted and does nothing else, whatever is being done: nothing is raised in the midst of
an end, and no lock is taken that what was interrupted might hold (`threading.Event` has one).
"""

import signal
from dataclasses import dataclass

from shared.clock import Clock


@dataclass(slots=True)
class Ending:
    """How often somebody has asked for the end."""

    asked: int = 0

    def listen(self) -> None:
        """Count the signals from now on; SIGHUP only where it is not ignored, as `nohup` has it."""

        def count(_: int, __: object) -> None:
            self.asked += 1

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, count)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, count)

    def within(self, seconds: float, clock: Clock) -> bool:
        """Let `seconds` pass; whether somebody has asked."""
        if not self.asked:
            clock.sleep(seconds)
        return self.asked > 0

    def in_haste(self) -> bool:
        """Whether somebody has asked again."""
        return self.asked > 1
