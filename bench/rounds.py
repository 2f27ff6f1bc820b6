"""One round of in-process orders: some processes, each with some callers, for some seconds.

Callers are threads, or greenlets as a service's requests are, as the recipe has it.
"""

import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from statistics import quantiles

import gevent
from gevent.hub import get_hub

from bench.shops import Recipe, Shop
from services.commerce.domain import SOLD_OUT, Line
from shared import waiting
from shared.clock import new_id
from shared.errors import Refused
from shared.storage.access import Claim
from shared.web.greenlets import GreenletWays

WARM_UP_SECONDS = 0.7
WINDOW_SECONDS = 10.0
_START_SECONDS = 60.0

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class Round:
    """What came of a round. Times in seconds; `failed` counts what was neither.

    `asked` and `cpu_seconds` are of the warm-up too.
    """

    processes: int
    callers: int
    seconds: float
    placed: int = 0
    sold_out: int = 0
    failed: int = 0
    asked: int = 0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    windows: Counter[int] = field(default_factory=Counter)
    """Orders placed in each ten seconds."""
    puts: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Orders placed a second, by all processes."""
        return self.placed / self.seconds

    def add(self, other: "Round") -> None:
        self.placed += other.placed
        self.sold_out += other.sold_out
        self.failed += other.failed
        self.asked += other.asked
        self.cpu_seconds += other.cpu_seconds
        self.latencies += other.latencies
        self.windows += other.windows
        self.puts += other.puts


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of all lie; 0 where there are none."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else 0.0


def intent(chance: random.Random) -> str:
    """A UUIDv7, as docs/api.md asks of apps."""
    return new_id("", time.time_ns() // 1_000_000, chance.randbytes(10))[1:]


def run(
    recipe: Recipe,
    products: Sequence[str],
    *,
    processes: int,
    callers: int,
    seconds: float,
    timed: bool = True,
) -> Round:
    """Have `callers` in each of `processes` place orders of one product each, as fast as they can;
    under keys that begin with their time, or have none.

    Raises RuntimeError where a process fails, or an order does.
    """
    total = Round(processes, callers, seconds)
    recipes = [recipe] * processes
    for part in run_each(recipes, products, callers=callers, seconds=seconds, timed=timed):
        total.add(part)
    return total


def run_each(
    recipes: Sequence[Recipe],
    products: Sequence[str],
    *,
    callers: int,
    seconds: float,
    timed: bool = True,
) -> list[Round]:
    """The same with a process, and a result, for each recipe."""
    barrier = _SPAWN.Barrier(len(recipes))
    ends, workers = [], []
    for recipe in recipes:
        ours, theirs = _SPAWN.Pipe(duplex=False)
        work = _Work(recipe, list(products), callers, seconds, timed)
        worker = _SPAWN.Process(target=_work, args=(work, barrier, theirs), daemon=True)
        worker.start()
        theirs.close()
        ends.append(ours)
        workers.append(worker)
    parts: list[Round] = []
    for end, worker in zip(ends, workers, strict=True):
        try:
            parts.append(end.recv())
        except EOFError:
            raise RuntimeError("a process of the round failed; it said why above") from None
        worker.join()
    failed = sum(part.failed for part in parts)
    if failed:
        raise RuntimeError(f"{failed} orders of a round failed")
    return parts


@dataclass(frozen=True, slots=True)
class _Work:
    recipe: Recipe
    products: list[str]
    callers: int
    seconds: float
    timed: bool


def _work(work: _Work, barrier: Barrier, results: Connection) -> None:
    if work.recipe.greenlets:
        waiting.wait_by(GreenletWays(get_hub()))
    shop = work.recipe.open(work.callers)
    barrier.wait(_START_SECONDS)
    spent = time.process_time()
    begin = time.monotonic() + WARM_UP_SECONDS
    done = Round(1, work.callers, work.seconds)
    parts = [Round(1, 1, work.seconds) for _ in range(work.callers)]
    callers = (_greenlets if work.recipe.greenlets else _threads)(
        [partial(_call, shop, work, begin, part) for part in parts]
    )
    callers.sleep(max(0.0, begin - time.monotonic()))
    warm = len(shop.put_seconds)
    callers.join()
    for part in parts:
        done.add(part)
    done.cpu_seconds = time.process_time() - spent
    done.puts = shop.put_seconds[warm:]
    shop.close()
    results.send(done)


@dataclass(frozen=True, slots=True)
class _Callers:
    """Those who are at it, and how to sleep beside them."""

    sleep: Callable[[float], None]
    join: Callable[[], object]


def _threads(calls: Sequence[Callable[[], None]]) -> _Callers:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()

    def join() -> None:
        for thread in threads:
            thread.join()

    return _Callers(time.sleep, join)


def _greenlets(calls: Sequence[Callable[[], None]]) -> _Callers:
    greenlets = [gevent.spawn(call) for call in calls]
    return _Callers(gevent.sleep, lambda: gevent.joinall(greenlets, raise_error=True))


def _call(shop: Shop, work: _Work, begin: float, part: Round) -> None:
    """One caller: orders until the time is over; what begins in the warm-up is not counted."""
    chance = random.Random()
    end = begin + work.seconds
    while (began := time.monotonic()) < end:
        citizen = f"citizen-{chance.randrange(200)}"
        key = intent(chance) if work.timed else f"{chance.getrandbits(128):032x}"
        claim = Claim(citizen, "POST /orders", key, "0" * 64)
        outcome = _place(shop, citizen, claim, chance.choice(work.products))
        part.asked += 1
        if began >= begin:
            part.latencies.append(time.monotonic() - began)
            setattr(part, outcome, getattr(part, outcome) + 1)
            part.windows[int((began - begin) / WINDOW_SECONDS)] += outcome == "placed"


def _place(shop: Shop, citizen: str, claim: Claim, product: str) -> str:
    try:
        shop.place(citizen, claim, [Line(product, 1)])
    except Refused as refused:
        return "sold_out" if refused.problem is SOLD_OUT else "failed"
    return "placed"
