"""A collector of spans: takes OTLP over HTTP, as any collector would, and keeps what it was sent.

with Collector() as collector:
    …  # GANSU_TRACES_ENDPOINT=collector.endpoint
    spans = collector.await_spans(lambda spans: …)
"""

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Collected:
    """One span, as it came over the wire; ids in hex, times in nanoseconds."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    failed: bool
    kind: int
    attributes: dict[str, Any]
    links: list[tuple[str, str]]


class Collector:
    """Use as a context manager."""

    def __init__(self) -> None:
        self.spans: list[Collected] = []
        self.raw: list[bytes] = []
        self.status = 200
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def trace(self, trace: str) -> list[Collected]:
        """The spans of one trace, by now."""
        with self._lock:
            return [span for span in self.spans if span.trace == trace]

    def await_spans(self, enough: Callable[[list[Collected]], object]) -> list[Collected]:
        """All spans, once they are enough."""
        wait_until(lambda: bool(enough(list(self.spans))), "spans", seconds=20)
        with self._lock:
            return list(self.spans)

    def _take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.raw.append(body)
            for group in request.resource_spans:
                service = _attributes(group.resource.attributes)["service.name"]
                for scope in group.scope_spans:
                    self.spans += [_collected(service, span) for span in scope.spans]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                known = self.path == "/v1/traces"
                status = collector.status if known else 404
                if status == 200:
                    collector._take(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _collected(service: str, span: Any) -> Collected:
    return Collected(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == 2,
        span.kind,
        _attributes(span.attributes),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
    )
