"""Orders and reads over HTTP: parts (b) and (c), and what of (d) and (g) is seen there.

The service itself, the same with its orders in PostgreSQL, and the same storing nothing; wrk asks
over 64 connections, and once more over twice as many.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import get_args

from bench import cpu, goods, street, wrk
from bench.lab import Lab, middle
from bench.limits import MICROSECONDS
from bench.peer import Taking
from bench.report import Finding, ratio
from bench.street import (
    ORDERS,
    Served,
    Site,
    Street,
    nothing_site,
    our_site,
    peer_site,
    recent_site,
)
from bench.wrk import Answered

_TARGETS = {"hot": 2.5, "spread": 1.5}
_TARGET_NOTHING = 0.7

_THREADS_OURS = 128
"""Half as many callers may wait to write; fewer would refuse some of 64 who meet one process."""

_CROWD = 2 * wrk.CONNECTIONS
_THREADS_CROWD = 2 * _THREADS_OURS

_SHAPES_OURS = ((2, _THREADS_OURS), (3, _THREADS_OURS))
_SHAPES_PEER = ((2, 8), (2, 4), (2, 16), (3, 8))
"""Processes, and threads in each; the likely ones first."""


def _speed(answered: Answered) -> float:
    return answered.per_second


def measure(lab: Lab) -> Iterator[Finding]:
    """Parts (b) and (c)."""
    open_street = street.opened(lab)
    lab.say("orders over HTTP: looking for each side's best way to run")
    tried = lab.pace.shapes_max
    ours = _fastest(open_street, [our_site(*shape) for shape in _SHAPES_OURS[:tried]])["hot"]
    nothing = nothing_site(ours.workers, ours.threads)
    peers = _fastest(
        open_street,
        [
            peer_site(taking, *shape)
            for taking in get_args(Taking)
            for shape in _SHAPES_PEER[:tried]
        ],
    )
    for mode, peer in peers.items():
        yield from _race(open_street, mode, [ours, peer, nothing])
    yield from _crowd(open_street, [our_site(ours.workers, _THREADS_CROWD), peers["hot"], nothing])
    yield from _one_process(open_street, ours)
    yield from _reads(open_street, ours)


def _fastest(open_street: Street, sites: Sequence[Site]) -> dict[str, Site]:
    """The fastest site for each mode."""
    if len(sites) == 1:
        return dict.fromkeys(open_street.rows, sites[0])
    found: dict[str, list[float]] = {mode: [] for mode in open_street.rows}
    lab = open_street.lab
    for site in sites:
        with open_street.serving(site) as served:
            for mode, figures in found.items():
                figures.append(_speed(_ordering(open_street, served, mode, quickly=True)))
        said = ", ".join(f"{mode} {figures[-1]:,.0f}" for mode, figures in found.items())
        lab.say(f"  {said} orders/s  {site.name}, {site.how}")
    return {mode: sites[figures.index(max(figures))] for mode, figures in found.items()}


def _ordering(
    open_street: Street,
    served: Served,
    mode: str,
    *,
    quickly: bool = False,
    callers: int = wrk.CONNECTIONS,
) -> Answered:
    pace = open_street.lab.pace
    seconds = pace.search_seconds if quickly else pace.round_seconds
    url, rows = served.url(ORDERS), open_street.rows[mode]
    return wrk.run(url, "order", rows, seconds, connections=callers)


def _race(open_street: Street, mode: str, sites: Sequence[Site]) -> Iterator[Finding]:
    """Ours against the peer and against storing nothing."""
    lab = open_street.lab
    lab.say(f"orders over HTTP, {mode}: the race")
    with ExitStack() as stack:
        served = [stack.enter_context(open_street.serving(site)) for site in sites]
        runs: list[Callable[[], Answered]] = [
            partial(_ordering, open_street, each, mode) for each in served
        ]
        results = lab.alternate(*runs, warm=False)
        processor = [
            finding
            for each in (served[0], served[-1])
            for finding in _processor(open_street, each, mode)
        ]
    figures = [middle(found, _speed) for found in results]
    yield ratio("b", f"{mode}: ours to the peer", figures[0], figures[1], _TARGETS[mode])
    yield ratio("b", f"{mode}: ours to storing nothing", figures[0], figures[2], _TARGET_NOTHING)
    for site, found, figure in zip(sites, results, figures, strict=True):
        lab.say(f"  {figure:7,.0f} orders/s  {site.name}, {site.how}")
        yield Finding("b", f"{mode}: {site.name}", figure, "orders/s", how=site.how)
        p50, p99 = middle(found, lambda a: a.p50_ms), middle(found, lambda a: a.p99_ms)
        yield Finding("d", f"HTTP, {mode}: {site.name}, p50", p50, "ms", how=site.how)
        yield Finding("d", f"HTTP, {mode}: {site.name}, p99", p99, "ms", how=site.how)
    yield from processor


def _crowd(open_street: Street, sites: Sequence[Site]) -> Iterator[Finding]:
    """Twice as many callers: what an entry costs is shared by more orders."""
    lab = open_street.lab
    lab.say(f"orders over HTTP, hot, {_CROWD} callers")
    with ExitStack() as stack:
        served = [stack.enter_context(open_street.serving(site)) for site in sites]
        results = lab.alternate(
            *(partial(_ordering, open_street, each, "hot", callers=_CROWD) for each in served),
            warm=False,
        )
    figures = [middle(found, _speed) for found in results]
    title = f"hot, {_CROWD} callers"
    yield ratio("b", f"{title}: ours to the peer", figures[0], figures[1])
    yield ratio("b", f"{title}: ours to storing nothing", figures[0], figures[2])
    for site, found, figure in zip(sites, results, figures, strict=True):
        lab.say(f"  {figure:7,.0f} orders/s  {site.name}, {site.how}")
        p99 = middle(found, lambda answered: answered.p99_ms)
        how = f"p99 {p99:.0f} ms; {site.how}"
        yield Finding("b", f"{title}: {site.name}", figure, "orders/s", how=how)


def _processor(open_street: Street, served: Served, mode: str) -> Iterator[Finding]:
    """Where the processor's time goes, in one more round."""
    pids = {"Python": served.pid, "SeaweedFS": open_street.lab.store_pid}
    before = {name: cpu.used(pid) for name, pid in pids.items()}
    answered = _ordering(open_street, served, mode)
    for name, pid in pids.items():
        each = (cpu.used(pid) - before[name]) / answered.requests * 1e6
        yield Finding("b", f"{mode}: {served.site.name}, {name}", each, MICROSECONDS)


def _one_process(open_street: Street, ours: Site) -> Iterator[Finding]:
    sites = [our_site(1, ours.threads), ours]
    with ExitStack() as stack:
        served = [stack.enter_context(open_street.serving(site)) for site in sites]
        # Two sites on one journal are two containers; only one of them is asked at a time.
        results = open_street.lab.alternate(
            *(partial(_ordering, open_street, each, "hot") for each in served), warm=False
        )
    one, two = (middle(found, _speed) for found in results)
    yield ratio("g", "HTTP, hot: two processes to one", two, one)
    for site, figure in zip(sites, (one, two), strict=True):
        yield Finding("g", "HTTP, hot: ours", figure, "orders/s", how=site.how)


def _reads(open_street: Street, ours: Site) -> Iterator[Finding]:
    """Part (c): one's own order by its id."""
    lab = open_street.lab
    lab.say("reading one's order over HTTP")
    sites = [
        ours,
        recent_site(ours.workers, ours.threads),
        nothing_site(ours.workers, ours.threads),
    ]
    with ExitStack() as stack:
        served = [stack.enter_context(open_street.serving(site)) for site in sites]
        plain, by_seq = (_rows(open_street, served[0], by_seq=by_seq) for by_seq in (False, True))
        ways = {
            "fresh": (served[0], plain),
            "with Commit-Seq": (served[0], by_seq),
            "recent": (served[1], plain),
            "storing nothing": (served[2], plain),
        }
        results = lab.alternate(*(_reading(lab, *way) for way in ways.values()), warm=False)
    figures = dict(zip(ways, (middle(found, _speed) for found in results), strict=True))
    for name, target in (("recent", 0.8), ("fresh", 0.4)):
        against = figures["storing nothing"]
        yield ratio("c", f"{name} to storing nothing", figures[name], against, target)
    for (name, figure), found in zip(figures.items(), results, strict=True):
        lab.say(f"  {figure:7,.0f} reads/s  {name}")
        p99 = middle(found, lambda answered: answered.p99_ms)
        yield Finding("c", name, figure, "reads/s", how=f"p99 {p99:.1f} ms; {ours.how}")


def _rows(open_street: Street, served: Served, *, by_seq: bool) -> Path:
    path = open_street.folder / f"reads-{by_seq}"
    return open_street.citizens.reads(served.port, goods.HOT[0], path, by_seq=by_seq)


def _reading(lab: Lab, served: Served, rows: Path) -> Callable[[], Answered]:
    return partial(wrk.run, served.url(""), "read", rows, lab.pace.round_seconds)
