"""An HTTP server that answers exactly the bytes a test gives it, and records what it was asked."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[Request], Iterable[bytes]]
"""The raw answer to one request, piece by piece; no piece at all closes the connection."""


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer whose length is stated."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(*pieces: bytes) -> Reply:
    """The same answer to every request."""
    return lambda _: pieces


class StubHttp:
    """Serves each connection in a thread of its own, keeping it open between requests."""

    def __init__(self, reply: Reply, certificate: tuple[Path, Path] | None = None) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self.connections = 0
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []

    @property
    def endpoint(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

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
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close what is open, as a server does with connections that idle for too long."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                self._answer_all(connection, stream)

    def _answer_all(self, connection: socket.socket, stream: BinaryIO) -> None:
        while request := read_request(stream):
            self.requests.append(request)
            pieces = 0
            for piece in self.reply(request):
                connection.sendall(piece)
                pieces += 1
            if not pieces:
                return


def read_request(stream: BinaryIO) -> Request | None:
    """One request from a stream, or None where the stream ends."""
    first = stream.readline().decode("latin-1")
    if not first:
        return None
    method, target, _ = first.split(" ")
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, target, headers, stream.read(int(headers.get("content-length", "0"))))
