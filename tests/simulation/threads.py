"""The standard library's threading on a simulation's scheduler, as far as the engine uses it.

`Lock`, `Condition`, `Event`, `BoundedSemaphore`, `Thread`, `Local` and `Executor` stand for their
namesakes and for `ThreadPoolExecutor`. Each belongs to the simulation in which it is made.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import greenlet

from tests.simulation.scheduler import Task, Waiters, scheduler

T = TypeVar("T")


class Lock:
    def __init__(self) -> None:
        self._here = scheduler()
        self._held = False
        self._waiters = Waiters()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        here = self._here
        if here.over:
            raise greenlet.GreenletExit
        here.pause()
        deadline = here.now + timeout if timeout >= 0 else None
        while self._held:
            left = None if deadline is None else deadline - here.now
            if not blocking or (left is not None and left <= 0):
                return False
            here.block(self._waiters, left)
        self._held = True
        return True

    def release(self) -> None:
        here = self._here
        if here.over:
            return
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False
        here.wake(self._waiters, 1)
        here.pause()

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    def __init__(self) -> None:
        self._here = scheduler()
        self._lock = Lock()
        self._waiters = Waiters()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        # Joining the waiters and letting go of the lock must be one step.
        self._lock._held = False
        here = self._here
        here.wake(self._lock._waiters, 1)
        try:
            return here.block(self._waiters, timeout)
        finally:
            self._lock.acquire()

    def notify(self, n: int = 1) -> None:
        self._here.wake(self._waiters, n)

    def notify_all(self) -> None:
        self._here.wake(self._waiters)


class Event:
    def __init__(self) -> None:
        self._here = scheduler()
        self._set = False
        self._waiters = Waiters()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        here = self._here
        here.wake(self._waiters)
        here.pause()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        here = self._here
        here.pause()
        if not self._set:
            here.block(self._waiters, timeout)
        return self._set


class BoundedSemaphore:
    def __init__(self, value: int = 1) -> None:
        self._here = scheduler()
        self._free = self._most = value

    def acquire(self, blocking: bool = True) -> bool:
        if blocking:
            raise AssertionError("the engine never waits for one")
        self._here.pause()
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def release(self) -> None:
        if self._free >= self._most:
            raise ValueError("Semaphore released too many times")
        self._free += 1


class Thread:
    """Belongs to whoever's task makes it."""

    def __init__(
        self,
        target: Callable[..., None],
        args: Iterable[Any] = (),
        name: str = "thread",
        *,
        daemon: bool = True,
    ) -> None:
        self._here = scheduler()
        self._call = lambda: target(*args)
        self._name = name
        self._task: Task | None = None

    def start(self) -> None:
        here = self._here
        self._task = here.spawn(self._call, here.task.owner, self._name)
        here.pause()

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done

    def join(self, timeout: float | None = None) -> None:
        if self._here.over:
            return  # of a generator that is only now taken away
        if self._task is not None and not self._task.done:
            self._here.block(self._task.joiners, timeout)


class Local:
    """`threading.local`."""

    def __init__(self) -> None:
        object.__setattr__(self, "_here", scheduler())
        object.__setattr__(self, "_slots", WeakKeyDictionary[Task, dict[str, Any]]())

    def __getattr__(self, name: str) -> Any:
        slots: dict[str, Any] = self._slots.get(self._here.task, {})
        if name not in slots:
            raise AttributeError(name)
        return slots[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._slots.setdefault(self._here.task, {})[name] = value


class Executor:
    """`ThreadPoolExecutor`: results in order, at most so many calls at once."""

    def __init__(self, workers: int, thread_name_prefix: str = "pool") -> None:
        self._here = scheduler()
        self._task = self._here.task
        self._workers = workers
        self._name = thread_name_prefix
        self._threads: list[Thread] = []

    def __enter__(self) -> "Executor":
        # Those that never end, as committers, would else leave one after another.
        self._here.failures += [
            f"{self._task.name} begins {self._name} in the middle of {held}"
            for held in self._task.holds.values()
        ]
        self._task.holds[self] = self._name
        return self

    def __exit__(self, *_: object) -> None:
        self._task.holds.pop(self, None)
        # Whoever waits here may be a generator being taken away, which must not raise.
        with suppress(greenlet.GreenletExit):
            for thread in self._threads:
                thread.join()

    def map(self, call: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
        waiting = deque(enumerate(items))
        results: list[Callable[[], T] | None] = [None] * len(waiting)
        arrived = Event()

        def work() -> None:
            while waiting:
                place, item = waiting.popleft()
                results[place] = _outcome(call, item)
                arrived.set()

        self._threads += [Thread(work, name=self._name) for _ in range(self._workers)]
        for thread in self._threads[-self._workers :]:
            thread.start()
        try:
            for place in range(len(results)):
                while (outcome := results[place]) is None:
                    arrived.clear()
                    arrived.wait()
                yield outcome()
        finally:
            waiting.clear()


def _outcome(call: Callable[[Any], T], item: Any) -> Callable[[], T]:
    try:
        value = call(item)
    except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
        return _raising(error)
    return lambda: value


def _raising(error: Exception) -> Callable[[], Any]:
    def again() -> Any:
        raise error

    return again
