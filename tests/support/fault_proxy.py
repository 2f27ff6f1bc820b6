"""A proxy in front of a real object store that breaks chosen requests, as networks do.

A fault is a function that is handed the forwarding of one request and decides whether, and what,
the client hears; None closes the connection. They are consumed once each, in order:

    with FaultProxy(seaweed.endpoint) as proxy:
        proxy.inject(lose_reply, method="PUT", path="/journal/")
        ...  # a client of proxy.endpoint stores an entry and is never told

`latency_seconds` is added to every request. Signatures stay good: all headers, the Host that the
client signed among them, are passed on as they are.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.clock import SystemClock
from shared.storage.http1 import Answer, Http, NoAnswer
from tests.support.stub_http import Request, read_request

Fault = Callable[["Forward"], bytes | None]

_HELD_SECONDS_MAX = 120.0

_OF_ONE_HOP = {"content-length", "transfer-encoding", "connection"}


class FaultProxy:
    """Stands on a port of its own; every client connection has a thread."""

    def __init__(self, upstream: str) -> None:
        self.latency_seconds = 0.0
        self.forwarded: list[Request] = []
        self._http = Http(upstream, SystemClock(), kept=64)
        self._faults: deque[tuple[str, str, Fault]] = deque()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def pending(self) -> int:
        """How many injected faults no request has met yet."""
        with self._lock:
            return len(self._faults)

    def inject(self, fault: Fault, *, method: str = "", path: str = "", times: int = 1) -> None:
        """Let `fault` take the next `times` requests of `method` whose target holds `path`."""
        with self._lock:
            self._faults.extend([(method, path, fault)] * times)

    def forget(self) -> None:
        """Let the faults go that no request has met yet."""
        with self._lock:
            self._faults.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._http.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with suppress(OSError, NoAnswer), connection, connection.makefile("rb") as stream:
            while request := read_request(stream):
                reply = self._reply(request)
                if reply is None:
                    break
                connection.sendall(reply)
        self._open.discard(connection)

    def _reply(self, request: Request) -> bytes | None:
        time.sleep(self.latency_seconds)
        fault = self._next_fault(request)
        if fault is None:
            return _raw(self._forward(request))
        return fault(Forward(request, self._forward))

    def _forward(self, request: Request) -> Answer:
        self.forwarded.append(request)
        headers = {k: v for k, v in request.headers.items() if k not in _OF_ONE_HOP}
        answer = self._http.exchange(request.method, request.target, headers, request.body)
        if not answer.whole:
            raise NoAnswer("the store's answer was cut")
        return answer

    def _next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for entry in self._faults:
                method, path, fault = entry
                if method in ("", request.method) and path in request.target:
                    self._faults.remove(entry)
                    return fault
        return None


@dataclass(frozen=True, slots=True)
class Forward:
    """Hands one request on to the store, when called, and returns what the store said."""

    request: Request
    _exchange: Callable[[Request], Answer]

    def __call__(self) -> Answer:
        return self._exchange(self.request)


def drop(forward: Forward) -> None:
    """The request never reaches the store."""


def lose_reply(forward: Forward) -> None:
    """The store carries the request out; the client never hears of it."""
    forward()


def garble(forward: Forward) -> bytes:
    """The store carries the request out; the client hears noise."""
    forward()
    return b"HTP/1.1 2OO K\r\n\r\n"


def fail(forward: Forward) -> bytes:
    """The store carries the request out; the client hears 503, as from a balancer in between."""
    forward()
    return _raw(Answer(503, {}, b"<html>Service Unavailable</html>", whole=True))


def late(seconds: float) -> Fault:
    """The store carries the request out at once; the client hears of it after `seconds`."""

    def fault(forward: Forward) -> bytes:
        answer = forward()
        time.sleep(seconds)
        return _raw(answer)

    return fault


def delayed(seconds: float) -> Fault:
    """The store gets the request after `seconds`, whether or not the client still waits."""

    def fault(forward: Forward) -> bytes:
        time.sleep(seconds)
        return _raw(forward())

    return fault


class Dam:
    """A fault that holds requests back, whether or not their clients still wait."""

    def __init__(self) -> None:
        self.held: list[Request] = []
        self._changed = threading.Condition()
        self._passing: set[bytes] = set()
        self._open = False

    def __call__(self, forward: "Forward") -> bytes:
        with self._changed:
            self.held.append(forward.request)
            self._changed.wait_for(lambda: self._passes(forward.request), _HELD_SECONDS_MAX)
        return _raw(forward())

    def _passes(self, request: Request) -> bool:
        return self._open or request.body in self._passing

    def let_through(self, body: bytes) -> None:
        """Let those go on to the store whose body is this."""
        with self._changed:
            self._passing.add(body)
            self._changed.notify_all()

    def open(self) -> None:
        """Let everything go on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()


def _raw(answer: Answer) -> bytes:
    kept = {name: value for name, value in answer.headers.items() if name not in _OF_ONE_HOP}
    lines = [f"HTTP/1.1 {answer.status} x", *(f"{name}: {value}" for name, value in kept.items())]
    lines.append(f"content-length: {len(answer.body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body
