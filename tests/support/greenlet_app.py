"""A WSGI application that waits in each of the ways that requests do.

/pid       which process answers
/signal    waits for a thread to say so, for as many milliseconds as the query says
/patience  the same, but loses patience after 100 ms: "told" or "late"
/apart     blocks a thread for so long
/busy      keeps the processor for so long, and answers how many have done so
"""

import itertools
import os
import threading
import time
from collections.abc import Iterable
from typing import Any

from shared import waiting

_turns = itertools.count()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    seconds = int(environ["QUERY_STRING"] or 0) / 1000
    answer = _ANSWERS[environ["PATH_INFO"]](seconds).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def _signal(seconds: float, patience: float = 10.0) -> str:
    told = waiting.signal()
    threading.Timer(seconds, told.set).start()
    return "told" if told.wait(patience) else "late"


def _apart(seconds: float) -> str:
    def work() -> int:
        time.sleep(seconds)
        return threading.get_ident()

    return "here" if waiting.apart(work) == threading.get_ident() else "apart"


def _busy(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return str(next(_turns))


_ANSWERS = {
    "/pid": lambda _: str(os.getpid()),
    "/signal": _signal,
    "/patience": lambda seconds: _signal(seconds, patience=0.1),
    "/apart": _apart,
    "/busy": _busy,
}
