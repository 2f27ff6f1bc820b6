"""A WSGI application that waits in each of the ways that requests do.

/pid       which process answers
/signal    waits for a thread to say so, for as many milliseconds as the query says
/patience  the same, but loses patience after 100 ms: "told" or "late"
/apart     blocks a thread for so long
/refused   is refused apart, with a message that nobody is to see
/alone     waits, apart, for what is done alone
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
_turn, _leading, _led = threading.Lock(), threading.Event(), threading.Event()


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


def _refused(_: float) -> str:
    def refuse() -> None:
        raise LookupError("a secret")

    try:
        waiting.apart(refuse)
    except LookupError as error:
        return str(error)
    return "nothing"


def _alone(seconds: float) -> str:
    """As many as ask at once wait in the pool for what one of them has done alone."""
    with _turn:
        first = not _led.is_set() and not _leading.is_set()
        _leading.set()
    if not first:
        return waiting.apart(lambda: "told" if _led.wait(10) else "late")
    time_to_fill = waiting.signal()
    threading.Timer(seconds, time_to_fill.set).start()
    time_to_fill.wait(10)
    waiting.alone(_led.set)
    return "led"


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
    "/refused": _refused,
    "/alone": _alone,
    "/busy": _busy,
}
