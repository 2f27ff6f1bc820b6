"""Programs as process groups: how one is started, how all of it is ended, and how what an earlier
run left is found.

Every program leads a session and a group of its own, so that Ctrl-C reaches the runner alone and a
program's own children end with it. All of the group inherit a lock (`infra.locks`) whose file names
the group: while the lock is held the group exists and its number cannot belong to anybody else.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra import locks
from shared.clock import Clock

_STEP_SECONDS = 0.02
_KILL_SECONDS = 10.0

# The shell writes the group's number before the program can do anything; `exec` keeps the pid.
_NAMED = ("/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"')


# Logs are read by others than their writer, whose terminal may have another encoding.
_SPOKEN = {"PYTHONUTF8": "1"}


class StillRunning(Exception):  # noqa: N818 - says what is the case
    """Processes that SIGKILL did not end."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `environment` is added to the runner's own.

    On stopping, the leader gets `stop_signal`, and after `grace_seconds` the whole group SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0


def lock_of(program: str, folder: Path) -> Path:
    """The lock that the processes of a program hold."""
    return folder / f"{program}.lock"


def start(program: Program, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the program; what it says is appended to `log`. Raises StillRunning where an earlier
    process of that name lives.
    """
    lock = lock_of(program.name, folder)
    descriptor = locks.take(lock)
    if descriptor is None:
        raise StillRunning(program.name)
    locks.write_note(descriptor, "")  # an earlier group's number may be anybody's by now
    try:
        with log.open("ab") as out:
            return subprocess.Popen(
                (*_NAMED, str(lock), *program.argv),
                cwd=program.directory,
                env={**os.environ, **_SPOKEN, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=(descriptor,),
            )
    finally:
        os.close(descriptor)


def end(
    lock: Path,
    clock: Clock,
    first: signal.Signals,
    grace_seconds: float,
    in_haste: Callable[[], bool] = lambda: False,
) -> None:
    """End every process that holds `lock`; return when none does. `in_haste` cuts the time of grace
    short. Raises StillRunning, and OSError where the lock cannot be looked at.
    """
    if not _await_free(lock, clock, 0):
        _send(os.kill, lock, first)
    if not _await_free(lock, clock, grace_seconds, in_haste):
        _send(os.killpg, lock, signal.SIGKILL)
    if not _await_free(lock, clock, _KILL_SECONDS):
        raise StillRunning(f"{lock.stem}: the process group {lock.read_text().strip()}")


def left(folder: Path) -> list[Path]:
    """The locks of programs that still have processes."""
    return [lock for lock in sorted(folder.glob("*.lock")) if locks.is_held(lock)]


def end_left(folder: Path, clock: Clock) -> list[str]:
    """End whatever an earlier run left; the names of those programs.

    Nobody waits for their answers any more, and what they acknowledged is stored: SIGKILL will do.
    """
    found = left(folder)
    for lock in found:
        end(lock, clock, signal.SIGKILL, 0.2)
    return [lock.stem for lock in found]


def _await_free(
    lock: Path, clock: Clock, seconds: float, in_haste: Callable[[], bool] = lambda: False
) -> bool:
    deadline = clock.monotonic() + seconds
    while locks.is_held(lock):
        if in_haste() or clock.monotonic() >= deadline:
            return False
        clock.sleep(_STEP_SECONDS)
    return True


def _send(send: Callable[[int, int], None], lock: Path, number: signal.Signals) -> None:
    # No number yet: the shell of a program that is being started has not written it. No such
    # process: the leader has gone before its group. The lock decides what happens next.
    with suppress(ValueError, ProcessLookupError):
        send(int(lock.read_text()), number)
