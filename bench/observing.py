"""Orders over HTTP with and without metrics and traces: part (l), what observing costs.

Four ways in turns, again and again, so that a machine that is busy with other things is as busy
for each: nothing observed, metrics, metrics with traces of one percent (the default), and of all.
Beside the orders a second stands the processor's time for one, which others disturb less.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from statistics import median

from bench import cpu, street, wrk
from bench.lab import Lab
from bench.limits import MICROSECONDS
from bench.report import Finding, ratio
from bench.street import ORDERS, our_site
from infra.seaweed import free_ports

_TARGET = 0.95
_TURNS = 3
"""Times the pace's rounds: a difference of a few percent needs more of them than one of twice."""

_SHAPE = (2, 128)

NOTHING, METRICS, SOME, ALL = "nothing", "metrics", "metrics, traces of 1 %", "metrics, all traces"


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (l)."""
    lab.say("orders over HTTP, observed and not")
    with ExitStack() as stack:
        collector = stack.enter_context(_collecting())
        plain = stack.enter_context(_ordering(lab, "plain"))
        counted = stack.enter_context(_ordering(lab, "counted", metrics=True))
        traced = stack.enter_context(_ordering(lab, "traced", metrics=True, collector=collector))
        ways: dict[str, Callable[[], tuple[float, float]]] = {
            NOTHING: partial(plain, 0.0),
            METRICS: partial(counted, 0.0),
            SOME: partial(traced, 1.0),
            ALL: partial(traced, 100.0),
        }
        for way in ways.values():
            way()
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(_TURNS):
            results = lab.alternate(*ways.values())
            for name, each in zip(ways, results, strict=True):
                found[name] += each
    for name in (METRICS, SOME, ALL):
        target = None if name == ALL else _TARGET
        beside = list(zip(found[name], found[NOTHING], strict=True))
        rate = median(own[0] / other[0] for own, other in beside)
        yield ratio("l", f"{name}: orders to those of nothing observed", rate, 1.0, target)
        time = median(own[1] / other[1] for own, other in beside)
        yield ratio("l", f"{name}: Python's time to that of nothing observed", time, 1.0)
    for name, figures in found.items():
        rate, time = (median(figure[place] for figure in figures) for place in (0, 1))
        lab.say(f"  {rate:7,.0f} orders/s  {time:5.0f} µs  {name}")
        yield Finding("l", name, rate, "orders/s")
        yield Finding("l", f"{name}, Python", time, MICROSECONDS)


@contextmanager
def _ordering(
    lab: Lab, name: str, *, metrics: bool = False, collector: str = ""
) -> Iterator[Callable[[float], tuple[float, float]]]:
    """The service on a journal of its own, and how to order there while traces of so many percent
    are kept: orders a second, and microseconds of Python for one.
    """
    open_street = street.opened(lab)
    bind = f"127.0.0.1:{free_ports(1)[0]}" if metrics else ""
    environment = {"GANSU_METRICS_BIND": bind, "GANSU_TRACES_ENDPOINT": collector}
    with open_street.serving(
        replace(our_site(*_SHAPE), name=name, environment=environment)
    ) as site:

        def order(percent: float) -> tuple[float, float]:
            before = cpu.used(site.pid)
            rows, seconds = open_street.rows["hot"], lab.pace.round_seconds
            answered = wrk.run(site.url(ORDERS), "order", rows, seconds, percent)
            used = cpu.used(site.pid) - before
            return answered.per_second, used / answered.requests * 1e6

        yield order


@contextmanager
def _collecting() -> Iterator[str]:
    """Something that takes spans, and forgets them: in a process of its own; where it is."""
    port = free_ports(1)[0]
    process = get_context("spawn").Process(target=_collect, args=(port,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


class _Forgets(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _collect(port: int) -> None:
    ThreadingHTTPServer(("127.0.0.1", port), _Forgets).serve_forever()
