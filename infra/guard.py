"""What ends a platform whose runner was killed: `python -m infra.guard ‹directory›`.

Its standard input is a pipe that only the runner holds. A runner that has stopped everything says
so; where the pipe ends without a word, the guard ends what still lives, unless a new runner takes
over first.
"""

import signal
import subprocess
import sys
from pathlib import Path

from infra import locks, processes
from infra.layout import Layout
from shared import terminal
from shared.clock import Clock, SystemClock

NOTE = "guard"
"""What the runner's lock says while a guard clears up."""


_FAREWELL = b"all stopped"
_TAKE_OVER_SECONDS = 3.0
_STEP_SECONDS = 0.02


def start(layout: Layout) -> "subprocess.Popen[bytes]":
    """A guard for this process; closing its `stdin`, by dying too, sets it to work."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.guard", str(layout.root)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def dismiss(guard: "subprocess.Popen[bytes]") -> None:
    """Let a guard go. For who has stopped everything, and nobody else."""
    guard.communicate(_FAREWELL)


def main(root: Path) -> None:
    """Wait, then clear up."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == _FAREWELL:
        return
    layout, clock = Layout(root), SystemClock()
    lock = _taken(layout, clock)
    if lock is not None:
        locks.write_note(lock, NOTE)
        processes.end_left(layout.processes, clock)


def _taken(layout: Layout, clock: Clock) -> int | None:
    # A dying runner's pipe may close before its lock does.
    deadline = clock.monotonic() + _TAKE_OVER_SECONDS
    while (lock := locks.take(layout.runner_lock)) is None and clock.monotonic() < deadline:
        clock.sleep(_STEP_SECONDS)
    return lock


if __name__ == "__main__":
    terminal.prepare()
    main(Path(sys.argv[1]))
