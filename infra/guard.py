"""What ends a platform whose runner was killed: `python -m infra.guard ‹directory›`.

It waits for the end of its standard input, a pipe that only the runner holds. If programs of that
runner still live then, and no new runner has taken over, it ends them.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra import locks, processes
from infra.layout import Layout
from shared.clock import SystemClock

NOTE = "guard"
"""What the runner's lock says while a guard clears up."""


@contextmanager
def watching(layout: Layout) -> Iterator[None]:
    """A guard for this process, for as long as the context lasts."""
    process = start(layout)
    try:
        yield
    finally:
        process.communicate()


def start(layout: Layout) -> "subprocess.Popen[bytes]":
    """A guard for this process; closing its `stdin`, by dying too, sets it to work."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.guard", str(layout.root)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def main(root: Path) -> None:
    """Wait, then clear up."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    layout = Layout(root)
    lock = locks.take(layout.runner_lock)
    if lock is not None:
        locks.write_note(lock, NOTE)
        processes.end_left(layout.processes, SystemClock())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
