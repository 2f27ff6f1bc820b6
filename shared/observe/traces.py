"""`SpanExport`: takes spans in, and hands them to a collector by OTLP over HTTP, in a thread.

    export = SpanExport("http://collector:4318", {"service.name": "commerce"}, clock)
    tracer = Tracer(clock, export.take)

`take` is called in the thread of all requests: it appends, and waits for nobody. The thread begins
with the first span. What the collector does not take, in its time or for want of room here, is lost
and counted; nothing else comes of a collector that is away.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from shared.clock import Clock
from shared.tracing import Span

log = logging.getLogger(__name__)

WAITING_MAX = 4096
"""Spans that wait for the collector, of some hundred bytes each; more are lost."""

BATCH_MAX = 512
EVERY_SECONDS = 1.0
EXPORT_SECONDS = 5.0
CLOSE_SECONDS = 2.0

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("smart-gansu")
_LIBRARY = "opentelemetry.exporter.otlp.proto.http"


class SpanExport:
    """One process's way to a collector. `lost` is told how many spans were lost."""

    def __init__(
        self,
        endpoint: str,
        resource: Mapping[str, str],
        clock: Clock,
        lost: Callable[[int], object] = int,
    ) -> None:
        self._clock = clock
        self._resource = Resource(resource)
        # The library tells every attempt; here it is told once that the collector is away.
        logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL)
        self._exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces",
            timeout=EXPORT_SECONDS,
            compression=Compression.Gzip,
        )
        self._lost = lost
        self._waiting: deque[Span] = deque()
        self._start = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_away = False

    def take(self, span: Span) -> None:
        """One that has ended."""
        if len(self._waiting) >= WAITING_MAX:
            self._lost(1)
            return
        self._waiting.append(span)
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._begin()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Hand over what is there, for so long at most."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _begin(self) -> None:
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="spans", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while True:
            self._wake.wait()
            # Some at once: more will come within the second.
            self._closed.wait(EVERY_SECONDS)
            self._wake.clear()
            while self._waiting:
                if not self._hand_over(self._taken(BATCH_MAX)):
                    # Those behind would fare no better, one by one, each in its time.
                    self._lost(len(self._taken(WAITING_MAX)))
            if self._closed.is_set():
                return

    def _taken(self, most: int) -> list[Span]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), most))]

    def _hand_over(self, spans: list[Span]) -> bool:
        """Whether the collector took them."""
        offset_ms = self._clock.now_ms() - self._clock.monotonic() * 1000
        try:
            result = self._exporter.export([self._readable(each, offset_ms) for each in spans])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not worth a request
            log.warning("spans could not be handed over: %r", error)
            result = SpanExportResult.FAILURE
        taken = result is SpanExportResult.SUCCESS
        if not taken:
            self._lost(len(spans))
            if not self._is_away:
                log.warning("the collector of traces does not take spans; they are lost")
        self._is_away = not taken
        return taken

    def _readable(self, span: Span, offset_ms: float) -> ReadableSpan:
        parent = None
        if span.parent_id:
            parent = _context(span.trace_id, span.parent_id, is_remote=span.kind == "server")
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            links=[Link(_context(*link)) for link in span.links],
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=_nanoseconds(span.began, offset_ms),
            end_time=_nanoseconds(span.ended, offset_ms),
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: str, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, _SAMPLED)


def _nanoseconds(monotonic: float, offset_ms: float) -> int:
    return int((monotonic * 1000 + offset_ms) * 1e6)
