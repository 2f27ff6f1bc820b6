"""Keeping programs alive: start them in order, start again what dies, stop them in reverse.

A program that dies is started again at once the first time, then after a pause that doubles up to
`PAUSE_SECONDS_MAX`; one that has lived for `STEADY_SECONDS` is forgiven. A start that fails is a
death like any other. Logs are kept bounded.
"""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra import processes
from infra.attempts import Attempts, Say
from infra.layout import Layout
from infra.processes import Program, StillRunning
from shared.clock import Clock

PAUSE_SECONDS = 0.5
PAUSE_SECONDS_MAX = 30.0
STEADY_SECONDS = 30.0
LOG_BYTES_MAX = 16 << 20

_DOUBLINGS_MAX = 10  # enough for the longest pause; after a thousand there is no such number


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: int = 0
    due_at: float | None = None


class Supervisor:
    """The programs of one runner. Used by one thread."""

    def __init__(self, layout: Layout, clock: Clock, say: Say) -> None:
        self._layout = layout
        self._clock = clock
        self._say = say
        self._children: list[_Child] = []
        self.attempts = Attempts(say)

    def start(self, program: Program) -> None:
        """Start a program and look after it from now on."""
        process = processes.start(program, self._layout.processes, self.log_of(program.name))
        self._children.append(_Child(program, process, self._clock.monotonic()))

    def watch(self) -> None:
        """Notice what died and start it again where its pause is over. To be called often."""
        for child in self._children:
            if child.due_at is None:
                if child.process.poll() is not None:
                    self._bury(child)
            elif self._clock.monotonic() >= child.due_at:
                self._revive(child)

    def deaths(self) -> dict[str, int]:
        """How often each program has died since it was last steady."""
        return {child.program.name: child.deaths for child in self._children}

    def log_of(self, name: str) -> Path:
        """Where a program's words go."""
        return self._layout.logs / f"{name}.log"

    def bound_logs(self) -> None:
        """Move a log that has grown too large to `‹name›.log.1`, in place of the one before.

        Programs hold their logs open in append mode, so the file is emptied, not replaced; lines
        written in between are lost.
        """
        for log in self._layout.logs.glob("*.log"):
            self.attempts.succeeds(f"to bound {log.name}", partial(_bound, log))

    def stop(self, in_haste: Callable[[], bool] = lambda: False) -> None:
        """End all programs, the last started first, whatever happens with one; `in_haste` ends
        their own time. Raises StillRunning when all the others have ended.
        """
        lasting = []
        while self._children:
            try:
                self._stop(self._children.pop(), in_haste)
            except StillRunning as error:
                lasting.append(str(error))
        if lasting:
            raise StillRunning(", ".join(lasting))

    def _stop(self, child: _Child, in_haste: Callable[[], bool]) -> None:
        program = child.program
        with suppress(OSError):
            self._end(program, program.stop_signal, program.grace_seconds, in_haste)
        # Its lock, where it was removed or cannot be looked at, says nothing of it.
        if child.process.poll() is None:
            with suppress(OSError):  # gone just now
                os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()

    def _bury(self, child: _Child) -> None:
        self._die(child)
        self._say(f"{child.program.name} {_ending(child.process.returncode)}; starting it again")

    def _die(self, child: _Child) -> None:
        now = self._clock.monotonic()
        child.deaths = 1 if now - child.started_at > STEADY_SECONDS else child.deaths + 1
        doublings = min(child.deaths - 2, _DOUBLINGS_MAX)
        pause = min(PAUSE_SECONDS * 2**doublings, PAUSE_SECONDS_MAX)
        child.due_at = now if child.deaths == 1 else now + pause

    def _revive(self, child: _Child) -> None:
        began = self.attempts.succeeds(f"to start {child.program.name}", lambda: self._begin(child))
        child.started_at = self._clock.monotonic()
        if began:
            child.due_at = None
        else:
            self._die(child)

    def _begin(self, child: _Child) -> None:
        # What is left of its group, such as workers whose master was killed, would hold its socket.
        self._end(child.program, signal.SIGKILL, 0.0)
        self._layout.prepare()  # somebody may have removed a folder, to have room
        name = child.program.name
        child.process = processes.start(child.program, self._layout.processes, self.log_of(name))

    def _end(
        self,
        program: Program,
        first: signal.Signals,
        grace_seconds: float,
        in_haste: Callable[[], bool] = lambda: False,
    ) -> None:
        lock = processes.lock_of(program.name, self._layout.processes)
        processes.end(lock, self._clock, first, grace_seconds, in_haste)


def _bound(log: Path) -> None:
    if log.stat().st_size > LOG_BYTES_MAX:
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        with log.open("r+b") as file:
            file.truncate(0)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with status {code}"
