"""A notifier's sign of life, for whoever has to tell from outside of its process.

It is the time of a file in the directory of replicas, the one place where a container may write.
Sending nothing because nothing is due, or because the store or the SMS gateway is away, is life;
a process that hangs leaves no sign.
"""

import os
from contextlib import suppress
from pathlib import Path

from shared.clock import Clock

LATE_SECONDS = 300
"""Much longer than one look at the journal and one lot of messages can take, with all timeouts."""


def beat(directory: Path, service: str, clock: Clock) -> None:
    """Leave a sign. Where that is impossible there is none, and the check says so."""
    path = _path(directory, service)
    now_ns = clock.now_ms() * 1_000_000
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, ns=(now_ns, now_ns))


def is_recent(directory: Path, service: str, clock: Clock) -> bool:
    """Whether there was a sign within `LATE_SECONDS`."""
    try:
        left_ms = _path(directory, service).stat().st_mtime_ns // 1_000_000
    except OSError:
        return False
    return clock.now_ms() - left_ms <= LATE_SECONDS * 1000


def _path(directory: Path, service: str) -> Path:
    return directory / f"{service}-notices.alive"
