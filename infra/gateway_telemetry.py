"""What the gateway does, told from its log: `python -m infra.gateway_telemetry --log ‹file›`.

nginx as we have it makes no spans and no histograms. It writes a line for each request, with all
that they need: this program follows the log, counts, and hands over the span of each request that
the gateway chose to have looked at. What it needs to know else comes from the settings
(GANSU_METRICS_BIND, GANSU_TRACES_ENDPOINT).

It begins at the end of the log, so that nothing is told twice; what was written while it did not
run is not told. A log that was moved away or emptied is followed from its new beginning. It reads a
bounded piece at a time, and leaves out what it is too far behind of. With `--empty` the log is its
alone, and is emptied when it has grown: for a gateway whose own log goes elsewhere.

Of a request it tells the service, the method, the status, the cache and the times: no address.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from io import FileIO
from os.path import samestat
from pathlib import Path
from typing import cast

import orjson

from shared import settings, terminal
from shared.clock import Clock, SystemClock
from shared.observe import measures
from shared.observe.exposition import serve
from shared.observe.metrics import Metrics
from shared.observe.spans import tracer_of
from shared.settings import SettingsError
from shared.tracing import Span, Tracer
from shared.web.telemetry import method_of

SERVICE = "gateway"

STEP_BYTES = 1 << 20
LINE_BYTES_MAX = 16 << 10
BEHIND_BYTES_MAX = 64 << 20
EMPTIED_BYTES = 8 << 20
IDLE_SECONDS = 0.2

Line = dict[str, object]


class Log:
    """A file that others write to, from its end on."""

    def __init__(self, path: Path, *, is_own: bool = False) -> None:
        self._path = path
        self._is_own = is_own
        self._file: FileIO | None = None
        self._rest = b""
        self._is_first = True

    def step(self) -> list[bytes]:
        """The lines that were written since; at most a bounded number of bytes of them."""
        if self._file is None and not self._open():
            return []
        file = cast(FileIO, self._file)
        self._skip(file)
        read = file.read(STEP_BYTES)
        if not read:
            self._renew(file)
            return []
        *lines, rest = (self._rest + read).split(b"\n")
        # A line without an end is no line of the gateway's.
        self._rest = rest if len(rest) <= LINE_BYTES_MAX else b""
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> bool:
        try:
            self._file = self._path.open("r+b" if self._is_own else "rb", buffering=0)
        except OSError:
            return False
        if self._is_first:
            self._file.seek(0, 2)
            self._is_first = False
        return True

    def _skip(self, file: FileIO) -> None:
        size, at = os.fstat(file.fileno()).st_size, file.tell()
        if size < at:  # emptied under us
            file.seek(0)
            self._rest = b""
        elif size - at > BEHIND_BYTES_MAX:
            file.seek(size - STEP_BYTES)
            self._rest = b""

    def _renew(self, file: FileIO) -> None:
        """At the end: another file may have come in this one's place."""
        if self._is_own and file.tell() > EMPTIED_BYTES:
            file.truncate(0)
            return
        try:
            moved = not samestat(self._path.stat(), os.fstat(file.fileno()))
        except OSError:
            moved = True
        if moved:
            file.close()
            self._file, self._rest = None, b""


class Teller:
    """Makes of a line what it says."""

    def __init__(self, metrics: Metrics | None, tracer: Tracer | None, clock: Clock) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._clock = clock

    def tell(self, raw: bytes) -> None:
        """Count a line, and tell its span; what is no line of the gateway's is passed over."""
        try:
            line = orjson.loads(raw)
            status, seconds = _status(line), float(line["duration_seconds"])
            route, method = str(line["route"]), method_of(str(line["method"]))
            cache = str(line["cache"]).lower() or "none"
            if self._metrics is not None:
                _count(self._metrics, route, status, seconds, cache)
                # What a service turned away it counts itself.
                if not line["upstream"]:
                    _count_shed(self._metrics, status)
            if self._tracer is not None and line["trace_flags"] == "01":
                span = self._span(self._tracer, line, seconds)
                span.attributes.update(
                    {
                        "http.request.method": method,
                        "http.route": f"/{route}/" if route != "other" else "-",
                        "http.response.status_code": status,
                        "gansu.cache": cache,
                    }
                )
                _note_upstream(span, str(line["upstream_seconds"]))
                span.failed = status >= 500
                span.end(span.ended)
        except (ValueError, KeyError, TypeError):
            return

    def _span(self, tracer: Tracer, line: Line, seconds: float) -> Span:
        """The first of its trace; the line has its id, by which the service's names its parent."""
        trace_id, span_id = str(line["trace_id"]), str(line["span_id"])
        int(trace_id, 16), int(span_id, 16)
        ago = self._clock.now_ms() / 1000 - float(str(line["ended"]))
        ended = self._clock.monotonic() - ago
        span = Span(tracer, f"gateway {line['route']}", "server", trace_id, "", ended - seconds)
        span.span_id, span.ended = span_id, ended
        return span


def _status(line: Line) -> int:
    """What the client heard, by its status."""
    status = int(cast(int, line["status"]))
    # A good answer of which nothing was sent could not be kept, for a full disk: nobody heard it.
    return 500 if status < 400 and line["sent_bytes"] == 0 else status


def _count(metrics: Metrics, route: str, status: int, seconds: float, cache: str) -> None:
    told = f"{status // 100}xx"
    metrics.histogram(measures.GATEWAY_REQUESTS, route=route, status=told, cache=cache).observe(
        seconds
    )


def _count_shed(metrics: Metrics, status: int) -> None:
    if status in {429, 503}:
        reason = "too-many-requests" if status == 429 else "busy"
        metrics.counter(measures.SHED, reason=reason).inc()


def _note_upstream(span: Span, told: str) -> None:
    """One time for each container that was asked: `0.004`, or `0.000, 0.004`."""
    times = [float(each) for each in told.replace(":", ",").split(",") if each.strip("- ")]
    if times:
        span.attributes["gansu.upstream.seconds"] = sum(times)
        span.attributes["gansu.upstream.asked"] = len(times)


def follow(log: Log, teller: Teller, stopping: threading.Event) -> None:
    """Tell of each line, until asked to stop, and of what is there by then."""
    ended = False
    while not ended:
        ended = stopping.is_set()
        lines = log.step()
        for line in lines:
            teller.tell(line)
        if not lines:
            stopping.wait(IDLE_SECONDS)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.gateway_telemetry", description=__doc__)
    parser.add_argument("--log", type=Path, required=True, help="the gateway's access log")
    parser.add_argument("--empty", action="store_true", help="empty the log when it has grown")
    options = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    try:
        asked = settings.load_observation()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if not asked.metrics_bind and not asked.traces_endpoint:
        print("GANSU_METRICS_BIND and GANSU_TRACES_ENDPOINT are empty", file=sys.stderr)
        return 2
    clock = SystemClock()
    metrics = Metrics(SERVICE, measures.GATEWAY) if asked.metrics_bind else None
    tracer = None
    if asked.traces_endpoint:
        tracer = tracer_of(asked.traces_endpoint, SERVICE, "", clock, metrics)
    if metrics is not None:
        serve(asked.metrics_bind, metrics.text, stopping)
    with closing(Log(options.log, is_own=options.empty)) as log:
        follow(log, Teller(metrics, tracer, clock), stopping)
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
