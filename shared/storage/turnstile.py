"""The turnstile: processes of one container take turns at committing, first come first served.

Two file locks: take NEXT, take MAIN, release NEXT. Whoever holds NEXT is first in line, so nobody
overtakes; the kernel frees both when a process dies. SQLite's own busy handler let one process take
171 turns against another's 25.

A turn is a hint that saves lost races. Safety rests on create-if-absent alone, so a caller who
waits longer than `PATIENCE_SECONDS` (the holder is frozen, or its store is slow) goes on without.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PATIENCE_SECONDS = 1.0
"""A frozen holder stops the others for at most this long each turn."""


class Turnstile:
    """One process's way through. Used by one thread, its committer."""

    def __init__(self, folder: Path) -> None:
        self._main = folder / "main.lock"
        self._next = folder / "next.lock"
        self._parked: _Turn | None = None

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for a turn; the value says whether it was got. It ends with the block."""
        try:
            turn = self._in_line()
        # Out of descriptors, or the folder is gone; out of threads. All show elsewhere.
        except (OSError, RuntimeError):
            yield False
            return
        got = turn.wait(PATIENCE_SECONDS)
        try:
            yield got
        finally:
            turn.park()

    def _in_line(self) -> "_Turn":
        # A wait given up earlier may still be in line; it is taken up again rather than doubled.
        if self._parked is None or not self._parked.resume():
            self._parked = _Turn(self._next, self._main)
        return self._parked


class _Turn:
    """One wait in line, in a thread of its own where it has to block: flock knows no time limit."""

    def __init__(self, next_lock: Path, main_lock: Path) -> None:
        self._got = threading.Event()
        self._lock = threading.Lock()
        self._wanted = True
        # Closing a descriptor frees its flock: each is opened for this turn alone.
        self._opened = ExitStack()
        try:
            self._next = self._open(next_lock)
            self._main = self._open(main_lock)
            self._stand_in_line()
        except BaseException:
            self._opened.close()
            raise

    def _open(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._opened.callback(os.close, descriptor)
        return descriptor

    def _stand_in_line(self) -> None:
        if _try(self._next) and _try(self._main):
            fcntl.flock(self._next, fcntl.LOCK_UN)
            self._got.set()
        else:
            threading.Thread(target=self._block, name="turnstile", daemon=True).start()

    def _block(self) -> None:
        fcntl.flock(self._next, fcntl.LOCK_EX)
        fcntl.flock(self._main, fcntl.LOCK_EX)
        fcntl.flock(self._next, fcntl.LOCK_UN)
        with self._lock:
            self._got.set()
            if not self._wanted:
                self._opened.close()

    def wait(self, seconds: float) -> bool:
        return self._got.wait(seconds)

    def park(self) -> None:
        """The turn is over, or given up: what is held, or comes to be held, is freed at once."""
        with self._lock:
            self._wanted = False
            if self._got.is_set():
                self._opened.close()

    def resume(self) -> bool:
        """Want a parked turn again; False if it came and went meanwhile."""
        with self._lock:
            self._wanted = not self._got.is_set()
            return self._wanted


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
