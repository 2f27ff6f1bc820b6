"""Several containers on one journal, over Ceph: part (i).

Each container is a process with a replica of its own and 64 callers. Without affinity all of them
write; with it the gateway sends all writes to one, and the others, having nothing to do, ask the
store for nothing.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import fmean

from bench import cpu, goods, rounds, shops
from bench.lab import Lab
from bench.limits import MICROSECONDS
from bench.report import Finding, ratio
from bench.rounds import WINDOW_SECONDS, Round
from bench.shops import Ours
from tests.support.ceph import CephServer
from tests.support.seaweed import new_bucket

CONTAINERS = (1, 2, 4, 8)
CALLERS = 64

_TARGET_TOTAL = 0.7
_TARGET_SLOWEST = 1 / 3


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (i)."""
    with ExitStack() as stack:
        ceph = CephServer(lab.directory("ceph"))
        stack.callback(ceph.kill)
        ceph.start()
        address = new_bucket(ceph)
        shops.seed(address, lab.directory("replica"))
        recipes = [Ours(address, lab.directory(f"container-{n}")) for n in range(max(CONTAINERS))]
        alone = 0.0
        for count in CONTAINERS:
            before = _used(ceph)
            parts = _round(lab, recipes[:count], CALLERS)
            total = sum(part.placed for part in parts)
            alone = alone or total
            yield from _told(lab, f"{count} writing", parts)
            yield from _processor(f"{count} writing", parts, _used(ceph) - before)
            if count > 1:
                yield from _told(
                    lab, f"{count}, with affinity", _round(lab, recipes[:1], CALLERS * count)
                )
        yield ratio("i", f"{count} writing containers to one", total, alone, _TARGET_TOTAL)
        yield Finding(
            "i", f"{count} writing: the slowest to the mean", _fairness(parts), "×", _TARGET_SLOWEST
        )


def _round(lab: Lab, recipes: list[Ours], callers: int) -> list[Round]:
    seconds = WINDOW_SECONDS * lab.pace.windows
    return rounds.run_each(recipes, goods.SPREAD, callers=callers, seconds=seconds)


def _fairness(parts: list[Round]) -> float:
    """The slowest container's share of the mean, in the ten seconds when it was least."""
    windows = set().union(*(part.windows for part in parts))
    counts = [[part.windows[window] for part in parts] for window in windows]
    return min(min(each) / fmean(each) for each in counts)


def _used(ceph: CephServer) -> float:
    return sum(map(cpu.used, ceph.pids))


def _processor(what: str, parts: list[Round], ceph_seconds: float) -> Iterator[Finding]:
    """Where the processor's time goes: all containers together, and the store."""
    per_order = 1e6 / sum(part.asked for part in parts)
    python = sum(part.cpu_seconds for part in parts)
    yield Finding("i", f"{what}, Python", python * per_order, MICROSECONDS)
    yield Finding("i", f"{what}, Ceph", ceph_seconds * per_order, MICROSECONDS)


def _told(lab: Lab, what: str, parts: list[Round]) -> Iterator[Finding]:
    speed = sum(part.per_second for part in parts)
    fairness = _fairness(parts)
    slowest = max(max(part.latencies) for part in parts)
    how = f"the slowest to the mean {fairness:.2f}; longest wait {slowest:.2f} s"
    lab.say(f"  {speed:7,.0f} orders/s  containers: {what}; {how}")
    yield Finding("i", what, speed, "orders/s", how=how)
