"""One JSON line for each request, for each failure of the program, and for what libraries tell.

Every line that has to do with a request has its `trace_id`, which is the gateway's request id.

A line holds the route's template, never the path, the query, a header or a body: those carry ids,
tokens and what people look for. A failure is told by its type and its frames; its message could
repeat what a person sent.
"""

import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import orjson

from shared import tracing
from shared.clock import Clock
from shared.times import instant

Write = Callable[[bytes], object]


def to_stdout(line: bytes) -> object:
    """Write a line in one piece, so that those of several processes do not mix."""
    return os.write(1, line)


class RequestLog:
    """Where a service tells what it did. Thread-safe if `write` is."""

    def __init__(self, service: str, clock: Clock, write: Write = to_stdout) -> None:
        self._service = service
        self._clock = clock
        self._write = write

    def answered(
        self, *, request_id: str, method: str, route: str, status: int, began: float
    ) -> None:
        """A request was answered; `began` is the clock's monotonic time at its arrival."""
        self._line(
            {
                "request_id": request_id,
                "trace_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round((self._clock.monotonic() - began) * 1000, 2),
            }
        )

    def failed(self, *, request_id: str, route: str, error: BaseException) -> None:
        """The program failed while it served a request."""
        self._line(
            {
                "request_id": request_id,
                "trace_id": request_id,
                "route": route,
                **_failure(error),
            }
        )

    def told(self, record: logging.LogRecord) -> None:
        """A line of the engine's, or of a library's."""
        members: dict[str, object] = {"level": record.levelname.lower(), "logger": record.name}
        if request_id := tracing.request_id():
            members["trace_id"] = request_id
        elif trace_ids := getattr(record, "trace_ids", None):
            members["trace_ids"] = trace_ids
        members["message"] = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            members |= _failure(record.exc_info[1])
        self._line(members)

    def _line(self, members: dict[str, object]) -> None:
        line = {"time": instant(self._clock.now_ms()), "service": self._service, **members}
        self._write(orjson.dumps(line) + b"\n")


class EngineLines(logging.Handler):
    """What the engine and libraries log, as lines of a service's log."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._log.told(record)
        except Exception:  # noqa: BLE001 - logging's own way: a line is not worth a request
            self.handleError(record)


def _failure(error: BaseException) -> dict[str, object]:
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {"failure": type(error).__qualname__, "frames": frames}
