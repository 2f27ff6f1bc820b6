"""Threads as greenlets: one runs at a time, a seed decides which, and time is a number.

`Scheduler.run` is the hub. A task leaves it the processor at `pause`, `sleep` and `block`; the hub
lets a random ready task go on, or, where none is ready, lets time pass to the next timer.

A task may belong to a `Owner` (a process). Tasks of one that has died never run again, as after
`kill -9`: nothing is unwound while the simulation lasts. Those of a frozen one wait.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import ClassVar, Protocol, TypeVar

import greenlet

T = TypeVar("T")

STEP_SECONDS = 20e-6
"""What one turn of a task takes on average."""

SWITCH = 0.3
"""How often a task that could go on lets another one run."""


class Owner(Protocol):
    """Who can die or stand still."""

    alive: bool
    frozen_until: float


class Stuck(Exception):  # noqa: N818
    """Nobody can go on, or the end does not come."""


class Task:
    """One thread."""

    def __init__(self, call: Callable[[], None], owner: Owner | None, name: str) -> None:
        self.name = name
        self.owner = owner
        self.done = False
        self.waiting = False
        self.ticket = 0
        """Which wait a timer belongs to: one that was over before must not end the next."""
        self.timed_out = False
        self.joiners = Waiters()
        self.holds: dict[object, str] = {}
        """What it has to give back before it ends, by name: nobody else can wait for it."""
        self.greenlet = greenlet.greenlet(call)


class Waiters:
    """Tasks that wait for one thing."""

    __slots__ = ("tasks",)

    def __init__(self) -> None:
        self.tasks: list[Task] = []


class Scheduler:
    """One simulation's threads and time."""

    current: ClassVar["Scheduler | None"] = None

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.steps = 0
        self.failures: list[str] = []
        self._ready: list[Task] = []
        self._tasks: list[Task] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        """Numbered, so that those of one moment come in turn."""
        self._numbers = itertools.count()
        self.over = False
        self._held = False
        self._hub = greenlet.getcurrent()
        self._main = Task(lambda: None, None, "hub")
        self.task = self._main
        self.on_point: Callable[[str], None] = lambda _: None
        """Called at each named point that a task passes; it may end or freeze the task's owner."""

    # The hub

    def run(self, until: Callable[[], bool], *, seconds: float, steps: int) -> None:
        """Let tasks run until `until()`. Raises Stuck after so much simulated time or work."""
        deadline, last = self.now + seconds, self.steps + steps
        while not until():
            if self.now > deadline or self.steps > last:
                raise Stuck(f"no end after {self.now:.0f} s and {self.steps} steps")
            self._step()

    def _step(self) -> None:
        self.steps += 1
        if not self._ready:
            if not self._timers:
                raise Stuck("every thread waits for another")
            self.now = max(self.now, self._timers[0][0])
        else:
            self.now += self.random.random() * 2 * STEP_SECONDS
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()
        if self._ready:
            self._resume(self._pick())

    def _pick(self) -> Task:
        place = int(self.random.random() * len(self._ready))
        task = self._ready[place]
        self._ready[place] = self._ready[-1]
        self._ready.pop()
        return task

    def _resume(self, task: Task) -> None:
        owner = task.owner
        if owner is not None:
            if not owner.alive:
                return
            if owner.frozen_until > self.now:
                self.at(owner.frozen_until, lambda: self._ready.append(task))
                return
        self.task = task
        task.greenlet.switch()
        self.task = self._main

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Have the hub call `act` at a moment."""
        heapq.heappush(self._timers, (when, next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self.now + seconds, act)

    def spawn(self, call: Callable[[], None], owner: Owner | None, name: str) -> Task:
        if self.over:
            raise greenlet.GreenletExit

        def run() -> None:
            try:
                call()
            except greenlet.GreenletExit:
                raise
            except BaseException as error:  # noqa: BLE001 - a thread that dies is a finding
                self.failures.append(f"{name} died of {error!r}")
            task.done = True
            self.failures += [
                f"{name} ended in the middle of {held}" for held in task.holds.values()
            ]
            if not self.over:
                self.wake(task.joiners)

        task = Task(run, owner, name)
        task.greenlet.parent = self._hub
        self._tasks.append(task)
        self._ready.append(task)
        return task

    def end(self) -> None:
        """Unwind every task that is left; none of them can wait for anything any more."""
        self.over = True
        for task in self._tasks:
            while not task.greenlet.dead and task.greenlet:
                self.task = task
                task.greenlet.throw(greenlet.GreenletExit)
        self.task = self._main
        self._tasks.clear()

    # Tasks

    @property
    def in_task(self) -> bool:
        return self.task is not self._main and not self.over

    def pause(self, point: str = "") -> None:
        """Perhaps let another task run."""
        # Not by `in_task`: nothing else is called as often.
        if self.task is self._main or self.over or self._held:
            return
        if point:
            self.on_point(point)
            owner = self.task.owner
            if owner is not None and (not owner.alive or owner.frozen_until > self.now):
                self._yield_ready()
                return
        if self.random.random() < SWITCH:
            self._yield_ready()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let nobody else run for the block, which must not wait."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _yield_ready(self) -> None:
        self._ready.append(self.task)
        self._hub.switch()

    def sleep(self, seconds: float) -> None:
        if self.over:
            raise greenlet.GreenletExit
        if self.in_task:
            self.block(Waiters(), seconds)

    def block(self, waiters: Waiters, seconds: float | None = None) -> bool:
        """Wait until woken; False if time ran out first."""
        if self.over:
            raise greenlet.GreenletExit
        if not self.in_task:
            raise Stuck("the hub cannot wait")
        task = self.task
        task.ticket += 1
        task.waiting, task.timed_out = True, False
        waiters.tasks.append(task)
        if seconds is not None:
            ticket = task.ticket

            def expire() -> None:
                if task.waiting and task.ticket == ticket:
                    task.waiting, task.timed_out = False, True
                    waiters.tasks.remove(task)
                    self._ready.append(task)

            self.after(max(seconds, 0.0), expire)
        self._hub.switch()
        return not task.timed_out

    def wake(self, waiters: Waiters, count: int | None = None) -> None:
        """Make `count` of those who wait ready, any of them; all without it."""
        while waiters.tasks and (count is None or count > 0):
            place = int(self.random.random() * len(waiters.tasks))
            task = waiters.tasks.pop(place)
            task.waiting = False
            self._ready.append(task)
            if count is not None:
                # One that will never run must not swallow the signal.
                count -= task.owner is None or task.owner.alive


def scheduler() -> Scheduler:
    """The simulation that runs."""
    if Scheduler.current is None:
        raise RuntimeError("no simulation runs")
    return Scheduler.current
