"""How whoever asks waits: a thread by blocking, a greenlet by letting the others of its thread run.

    done = waiting.signal()            # another thread will call done.set()
    if not done.wait(15.0): …
    answer = waiting.apart(lambda: store.get(key))

Requests are greenlets of one thread (`shared/web/greenlets.py`), which says so by `wait_by`; all
other threads, and every program without greenlets, block. Two rules keep the many greenlets of one
thread from stopping it, and each other: what blocks longer than a lock that is held for some lines
is done `apart`, in a thread of its own, locks and all; and nobody waits here with a lock in hand.
"""

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

T = TypeVar("T")


class Signal(Protocol):
    """Something that happens once, for one who waits."""

    def set(self) -> None:
        """Say that it has happened. From any thread, once."""

    def wait(self, seconds: float) -> bool:
        """Wait for it; whether it has happened."""


class NoThread(Exception):  # noqa: N818 - a state of the machine
    """No thread can be started, so nothing has been tried."""


class Ways(Protocol):
    """How the requests of a thread wait."""

    def signal(self) -> Signal: ...

    def apart(self, work: Callable[[], T]) -> T:
        """Do `work` where it may block, and give back what it returns or raises."""

    def alone(self, work: Callable[[], T]) -> T:
        """The same, in a thread that nobody else has to leave first. Raises NoThread."""

    def soon(self, work: Callable[[], object]) -> bool:
        """Do `work` once the requests at hand have had their turn, before the thread next waits."""


class _Blocking:
    """For threads: a lock is the cheapest thing that one can wait on and another release."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        return self._lock.acquire(timeout=seconds)


_here = threading.local()


def wait_by(ways: Ways) -> None:
    """Have all that is asked in the calling thread wait in these ways from now on."""
    _here.ways = ways


def signal() -> Signal:
    """A signal for the caller to wait for."""
    ways = _ways()
    return _Blocking() if ways is None else ways.signal()


def apart(work: Callable[[], T]) -> T:
    """Do what may block."""
    ways = _ways()
    return work() if ways is None else ways.apart(work)


def alone(work: Callable[[], T]) -> T:
    """Do what those who are `apart` may be waiting for. Raises NoThread."""
    ways = _ways()
    return work() if ways is None else ways.alone(work)


def soon(work: Callable[[], object]) -> bool:
    """Do `work` before the calling thread next waits for anything outside of it; False, and it is
    not done, where nothing is known of that: in a thread that serves one request at a time.
    """
    ways = _ways()
    return ways is not None and ways.soon(work)


def _ways() -> Ways | None:
    return cast("Ways | None", getattr(_here, "ways", None))
