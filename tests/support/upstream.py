"""A service for the gateway to talk to, scripted by the test, which sees all that arrives."""

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as the upstream got it; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What the upstream sends; `drop` closes the connection without a word instead."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    drop: bool = False


Script = Callable[[Arrived], Reply]


class Upstream:
    """An HTTP/1.1 server on a free port of 127.0.0.1, unless told otherwise. Use as a context
    manager.
    """

    def __init__(
        self, script: Script = lambda _: Reply(), *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.host = host
        self.script = script
        self.arrived: list[Arrived] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    self.raw_requestline = self.rfile.readline(65537)
                    if self.raw_requestline and self.parse_request():
                        self.serve()

            def serve(self) -> None:
                arrived = Arrived(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers.get("Content-Length", 0))),
                    self.client_address[1],
                )
                upstream.arrived.append(arrived)
                self.answer(upstream.script(arrived))

            def answer(self, reply: Reply) -> None:
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> "Upstream":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
