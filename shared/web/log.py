"""One JSON line for each request, and one for each failure of the program.

A line holds the route's template, never the path, the query, a header or a body: those carry ids,
tokens and what people look for. A failure is told by its type and its frames; its message could
repeat what a person sent.
"""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import orjson

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
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round((self._clock.monotonic() - began) * 1000, 2),
            }
        )

    def failed(self, *, request_id: str, route: str, error: BaseException) -> None:
        """The program failed while it served a request."""
        frames = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        self._line(
            {
                "request_id": request_id,
                "route": route,
                "failure": type(error).__qualname__,
                "frames": frames,
            }
        )

    def _line(self, members: dict[str, object]) -> None:
        line = {"time": instant(self._clock.now_ms()), "service": self._service, **members}
        self._write(orjson.dumps(line) + b"\n")
