"""The gunicorn worker that serves requests as greenlets of one thread.

    worker_class = "shared.web.greenlets.Worker"

An order over threads costs 19 switches between them, and they cost more than the order does
(docs/decisions/0034). Here a request is a greenlet: it waits for its commit, or for its client,
while others run in the same thread. Nothing of the standard library is replaced: what blocks is
done in threads beside (`shared/waiting.py`), the engine's own threads are threads.

Three things that greenlets do not bring by themselves:

- *Every connection its turn*: after each answer a greenlet goes to the end of the line. Else a
  client that always has its next request ready is served before all others.
- *Every process its share*: whoever is awake would accept every connection, and keep it. So the
  processes of a container tell each other how many they hold, and who holds more leaves a new one
  to the others, for a moment.
- *Every request its answer, to the end*: on SIGTERM a process goes on for a moment as before, but
  for closing each connection after its next answer. Then it takes in whoever has connected, closes
  the door, ends connections that ask nothing, and waits for what is under way (docs/serverless.md).
"""

import mmap
import select
import signal
import threading
from collections.abc import Callable
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

import gevent
from gevent import socket
from gevent.hub import Hub, Waiter, get_hub
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.base import Worker as AnyWorker
from gunicorn.workers.ggevent import GeventWorker

from shared import waiting
from shared.clock import SystemClock

T = TypeVar("T")

_PROCESSES_MAX = 64
_NOBODY = 0xFFFF_FFFF

_AHEAD_MAX = 4
"""By how many connections a process may be ahead. Exactly even, a crowd that comes at once would be
let in one by one: the last of 64 waited for half a second.
"""

_LEFT_SECONDS = 0.002
_LEFT_TIMES = 10
"""How often, and for how long each time, a connection is left to a process that holds fewer: one
that stands still does not keep it waiting for longer than that.
"""

_ACCEPT_SECONDS = 0.5
"""A stopping process takes new connections for so long: who sends them may not know of it yet."""

_LINGER_SECONDS = 2.0
"""A stopping process keeps idle connections for so long: a request may be on its way already."""

_LAST_SECONDS = 2.0
"""A stopping process ends so long before the master would kill it."""

_LOOK_SECONDS = 0.1


class Connections:
    """How many connections each process of a container holds, in memory that they share.

    The master gives each process a place before the fork, and takes it back when it has ended.
    """

    def __init__(self) -> None:
        self._held = memoryview(mmap.mmap(-1, _PROCESSES_MAX * 4)).cast("I")
        for place in range(_PROCESSES_MAX):
            self._held[place] = _NOBODY

    def enter(self) -> int:
        """A place for one more process, which holds none. Raises ValueError beyond 64."""
        place = self._held.tolist().index(_NOBODY)
        self._held[place] = 0
        return place

    def leave(self, place: int) -> None:
        """The process at `place` has ended."""
        self._held[place] = _NOBODY

    def note(self, place: int, change: int) -> None:
        """A process holds one more, or one fewer."""
        self._held[place] += change

    def is_due(self, place: int) -> bool:
        """Whether no other process holds far fewer."""
        return self._held[place] < min(self._held) + _AHEAD_MAX


def ended(_master: object, worker: AnyWorker) -> None:
    """To be told by the master once a process has ended (gunicorn's `child_exit`)."""
    if isinstance(worker, Worker):
        worker.connections.leave(worker.place)


class GreenletWays:
    """How greenlets of one hub wait; `waiting.Ways`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def signal(self) -> "GreenletSignal":
        return GreenletSignal(self._hub)

    def apart(self, work: Callable[[], T]) -> T:
        outcome: _Outcome[T] = _Outcome(work)
        self._hub.threadpool.apply(outcome.find)
        return outcome.get()

    def alone(self, work: Callable[[], T]) -> T:
        outcome: _Outcome[T] = _Outcome(work)
        found = self.signal()

        def find() -> None:
            outcome.find()
            found.set()

        try:
            threading.Thread(target=find, daemon=True).start()
        except RuntimeError as error:
            raise waiting.NoThread from error
        while not found.wait(60):
            pass
        return outcome.get()

    def soon(self, work: Callable[[], object]) -> bool:
        self._hub.loop.run_callback(work)
        return True


class _Outcome(Generic[T]):
    """What some work came to in another thread. The hub prints every exception that leaves one.

    It knows there which request it is done for (`shared/tracing.py`).
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._context = copy_context()
        self._value: T | None = None
        self._error: BaseException | None = None

    def find(self) -> None:
        try:
            self._value = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error

    def get(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._value)


class GreenletSignal:
    """Set by any thread, waited for by one greenlet of the hub's thread."""

    __slots__ = ("_hub", "_is_set", "_waiter")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._is_set = False
        self._waiter: Waiter[None] | None = None

    def set(self) -> None:
        self._is_set = True
        self._hub.loop.run_callback_threadsafe(self._wake)

    def _wake(self) -> None:
        # In the hub's thread. Before the wait began, or after it was over, there is nobody to wake.
        if self._waiter is not None:
            self._waiter.switch(None)

    def wait(self, seconds: float) -> bool:
        if self._is_set:
            return True
        waiter: Waiter[None] = Waiter(self._hub)
        self._waiter = waiter
        timer = self._hub.loop.timer(seconds)
        timer.start(waiter.switch, None)
        try:
            waiter.get()
            return self._is_set
        finally:
            self._waiter = None
            timer.close()


class _Together:
    """A client's socket, on which head and body of an answer leave as one."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, part: bytes) -> None:
        self._parts.append(part)

    def leave(self) -> None:
        """Send what was written. Raises OSError where the client has gone."""
        whole = b"".join(self._parts)
        # Nearly always all of it; sendall asks for the size of the socket's buffer first.
        sent = self._client.send(whole) if whole else 0
        if sent < len(whole):
            self._client.sendall(whole[sent:])


class _Server(StreamServer):
    """Accepts what no other process is rather to accept."""

    max_accept = 64

    def __init__(self, listener: Any, worker: "Worker", pool: Pool) -> None:
        super().__init__(listener, spawn=pool)
        self._worker = worker
        # What a connection is told of where it came in; the socket itself goes with the stop.
        self._name = listener.getsockname()
        self._left = 0

    def do_read(self) -> Any:
        due = self._worker.connections.is_due(self._worker.place)
        if self._worker.alive and not due and self._left < _LEFT_TIMES:
            self._left += 1
            self.stop_accepting()
            gevent.spawn_later(_LEFT_SECONDS, self._accept_again)
            return None
        self._left = 0
        accepted = super().do_read()
        if accepted is not None:
            self._worker.connections.note(self._worker.place, +1)
        return accepted

    def finish(self) -> None:
        """Accept whoever has connected, and nobody after them. The system would answer requests
        that wait in a closed socket with a reset.
        """
        self.stop_accepting()
        while not self.full() and (accepted := self.do_read()):
            self.do_handle(*accepted)
        self.close()

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()

    def handle(self, client: Any, address: Any) -> None:
        self._worker.serve(SimpleNamespace(getsockname=lambda: self._name), client, address)


class Worker(GeventWorker):
    """One process. Made by gunicorn's master before the fork."""

    connections: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.place = self.connections.enter()
        self._clock = SystemClock()
        self._open: dict[Any, Any] = {}
        self._busy: set[Any] = set()

    @classmethod
    def setup(cls) -> None:
        """Called in the master, whenever it looks at its configuration."""
        if not hasattr(cls, "connections"):
            cls.connections = Connections()

    def init_process(self) -> None:
        """Begin to be a process of one's own."""
        # Before all else, as gunicorn does later: till then what it forked takes a signal for the
        # master's, and does nothing.
        signal.signal(signal.SIGTERM, self.handle_exit)
        super().init_process()

    def patch(self) -> None:
        """Let the hub wait for connections; nothing else is made to wait for it."""
        listeners: list[Any] = self.sockets
        self.sockets = [
            socket.socket(each.FAMILY, socket.SOCK_STREAM, fileno=each.sock.detach())
            for each in listeners
        ]
        hub = get_hub()
        hub.threadpool.maxsize = self.cfg.threads
        waiting.wait_by(GreenletWays(hub))

    def run(self) -> None:
        """Serve until told to stop, then let what is under way have its answer."""
        servers = []
        for listener in self.sockets:
            listener.setblocking(True)  # noqa: FBT003 - a socket's own method
            server = _Server(listener, self, Pool(self.worker_connections))
            server.start()
            servers.append(server)
        while self.alive:
            self._show_life()
            gevent.sleep(1.0)
        self._stop(servers, self._clock.monotonic())

    def _show_life(self) -> None:
        """Say that this process moves. Who does not for `timeout` is ended and replaced."""
        condition = getattr(self.wsgi, "condition", None)
        if condition is None or not condition.stuck():
            self.notify()

    def _stop(self, servers: list[_Server], began: float) -> None:
        gevent.sleep(_ACCEPT_SECONDS)
        for server in servers:
            server.finish()
        gevent.sleep(0)  # their greenlets begin
        until = began + self.cfg.graceful_timeout - _LAST_SECONDS
        while self._open and self._clock.monotonic() < until:
            self.notify()
            if self._clock.monotonic() > began + _LINGER_SECONDS:
                self._end_idle()
            gevent.sleep(_LOOK_SECONDS)

    def _end_idle(self) -> None:
        """End the connections on which nothing was asked, nor is about to be read."""
        idle = {client.fileno(): one for one, client in self._open.items() if one not in self._busy}
        idle.pop(-1, None)  # closed already
        asked = select.poll()
        for descriptor in idle:
            asked.register(descriptor, select.POLLIN)
        for descriptor, _ in asked.poll(0):
            del idle[descriptor]
        gevent.killall(list(idle.values()), block=False)

    def serve(self, listener: Any, client: Any, address: Any) -> None:
        """One connection, from its first request to its last."""
        me = gevent.getcurrent()
        self._open[me] = client
        try:
            self.handle(listener, client, address)
        finally:
            self.connections.note(self.place, -1)
            del self._open[me]

    def handle_request(self, listener: Any, request: Any, client: Any, address: Any) -> bool:
        """One request, whose head was read."""
        me = gevent.getcurrent()
        answer: Any = _Together(client)
        self._busy.add(me)
        try:
            goes_on = super().handle_request(listener, request, answer, address)
        finally:
            try:
                answer.leave()
            finally:
                self._busy.discard(me)
        gevent.sleep(0)
        return goes_on

    def handle_error(self, request: Any, client: Any, address: Any, error: BaseException) -> None:
        """An idle connection that ends with the process is told nothing: it asked nothing."""
        if not isinstance(error, gevent.GreenletExit):
            super().handle_error(request, client, address, error)
