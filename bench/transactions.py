"""Orders as in-process transactions: parts (a), (d), (e) and (g).

Ours is the commerce service's own action on the engine, in processes that share one replica, over
SeaweedFS; the peer is `peer.PeerShop` on PostgreSQL. Both place orders of one line for 200
citizens, each under an idempotency key of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from bench import cpu, goods, rounds, shops
from bench.lab import Lab, middle, seeded_postgres
from bench.limits import MICROSECONDS
from bench.peer import Taking
from bench.report import Finding, ratio
from bench.rounds import Round, percentile
from bench.shops import Ours, Peer, Recipe

Mode = Literal["hot", "spread"]

_GOODS: dict[Mode, Sequence[str]] = {"hot": goods.HOT, "spread": goods.SPREAD}
_TARGETS: dict[Mode, float] = {"hot": 5.0, "spread": 3.0}

_SHAPES_OURS = ((2, 64), (1, 128), (1, 64), (2, 32))
_SHAPES_PEER = ((2, 2), (2, 8), (1, 4), (2, 4), (2, 16), (4, 2))
"""Processes, and callers in each; the likely ones first."""

CALLERS = 64
DELAY_SECONDS = 0.040


@dataclass(frozen=True, slots=True)
class Entrant:
    """One way to place orders, at one number of processes and callers in each."""

    name: str
    recipe: Recipe
    processes: int
    callers: int

    @property
    def how(self) -> str:
        plural = "es" if self.processes > 1 else ""
        return f"{self.processes} process{plural} × {self.callers} callers"

    def run(self, products: Sequence[str], seconds: float, *, timed: bool = True) -> Round:
        return rounds.run(
            self.recipe,
            products,
            processes=self.processes,
            callers=self.callers,
            seconds=seconds,
            timed=timed,
        )


def _speed(result: Round) -> float:
    return result.per_second


def our_shop(lab: Lab, *, synced: bool = False, delay_seconds: float = 0.0) -> Ours:
    """The engine over a fresh bucket with all the goods in it."""
    recipe = Ours(lab.bucket(synced=synced), lab.directory("replica"))
    shops.seed(recipe.address, recipe.directory)
    return Ours(recipe.address, recipe.directory, delay_seconds)


# Ours against the peer, part (a)


def races(lab: Lab) -> Iterator[Finding]:
    """Part (a): each side at its best, without and with flushing to disk."""
    ours = our_shop(lab)
    for mode in _GOODS:
        entrants = _best_entrants(lab, mode, ours, lab.postgres.url)
        found = list(_race(lab, mode, entrants))
        yield from found
        faster = max(entrants[1:], key=lambda each: _found(found, f"{mode}: {each.name}"))
        yield from _processor(lab, mode, entrants[0], faster)
        yield _by_chance(lab, mode, entrants[0])
        if lab.pace.flushed:
            yield from _race_synced(lab, mode)


def _best_entrants(lab: Lab, mode: Mode, ours: Ours, url: str, title: str = "") -> list[Entrant]:
    lab.say(f"in-process orders, {mode}{title}: looking for each side's best way to run")
    tried = lab.pace.shapes_max
    ways = [[Entrant("ours", ours, *shape) for shape in _SHAPES_OURS[:tried]]]
    for taking in get_args(Taking):
        peer = Peer(url, taking)
        ways.append([Entrant(f"peer, {taking}", peer, *shape) for shape in _SHAPES_PEER[:tried]])
    return [_fastest(lab, mode, entrants) for entrants in ways]


def _fastest(lab: Lab, mode: Mode, entrants: Sequence[Entrant]) -> Entrant:
    if len(entrants) == 1:
        return entrants[0]
    figures = [_speed(each.run(_GOODS[mode], lab.pace.search_seconds)) for each in entrants]
    for entrant, figure in zip(entrants, figures, strict=True):
        lab.say(f"  {figure:7,.0f} orders/s  {entrant.name}, {entrant.how}")
    return entrants[figures.index(max(figures))]


def _race(lab: Lab, mode: Mode, entrants: Sequence[Entrant], title: str = "") -> Iterator[Finding]:
    """Ours against the faster of the peers."""
    lab.say(f"in-process orders, {mode}{title}: the race")
    results = lab.alternate(*(_runs(lab, mode, each) for each in entrants))
    figures = [middle(found, _speed) for found in results]
    faster = max(figures[1:])
    yield ratio("a", f"{mode}{title}: ours to the faster peer", figures[0], faster, _TARGETS[mode])
    for entrant, figure in zip(entrants, figures, strict=True):
        lab.say(f"  {figure:7,.0f} orders/s  {entrant.name}, {entrant.how}")
        yield Finding("a", f"{mode}{title}: {entrant.name}", figure, "orders/s", how=entrant.how)


def _runs(lab: Lab, mode: Mode, entrant: Entrant) -> Callable[[], Round]:
    return partial(entrant.run, _GOODS[mode], lab.pace.round_seconds)


def _race_synced(lab: Lab, mode: Mode) -> Iterator[Finding]:
    """The same with both stores flushing to disk before they answer, which suits other shapes."""
    title = ", flushed"
    with seeded_postgres(synced=True) as postgres:
        ours = our_shop(lab, synced=True)
        yield from _race(lab, mode, _best_entrants(lab, mode, ours, postgres.url, title), title)


def _found(findings: Sequence[Finding], what: str) -> float:
    return next(finding.value for finding in findings if finding.what == what)


def _processor(lab: Lab, mode: Mode, *entrants: Entrant) -> Iterator[Finding]:
    """Where the processor's time goes, by one more round of each side's best."""
    servers = (("SeaweedFS", lab.store_pid), ("PostgreSQL", lab.postgres.pid))
    for entrant, (name, pid) in zip(entrants, servers, strict=True):
        before = cpu.used(pid)
        result = entrant.run(_GOODS[mode], lab.pace.round_seconds)
        python, store = result.cpu_seconds, cpu.used(pid) - before
        per_order = 1e6 / result.asked
        yield Finding("a", f"{mode}: {entrant.name}, Python", python * per_order, MICROSECONDS)
        yield Finding("a", f"{mode}: {entrant.name}, {name}", store * per_order, MICROSECONDS)


def _by_chance(lab: Lab, mode: Mode, ours: Entrant) -> Finding:
    """One more round, of apps that do not do as they are asked."""
    result = ours.run(_GOODS[mode], lab.pace.round_seconds, timed=False)
    what = f"{mode}, keys without a time: ours"
    return Finding("a", what, _speed(result), "orders/s", how=ours.how)


# How long an order takes, part (d)


def latencies(lab: Lab) -> Iterator[Finding]:
    """Part (d): how long an order and a PUT take, also with the store 40 ms further away."""
    for title, delay_seconds in (("", 0.0), (", 40 ms in every store call", DELAY_SECONDS)):
        ours = our_shop(lab, delay_seconds=delay_seconds)
        for callers in (8, CALLERS):
            entrant = Entrant("ours", ours, 1, callers)
            result = entrant.run(goods.SPREAD, lab.pace.round_seconds)
            lab.say(f"latency{title}, {callers} callers: {_speed(result):,.0f} orders/s")
            yield from _spread_of(f"order{title}", result.latencies, entrant.how)
            yield from _spread_of(f"PUT{title}", result.puts, entrant.how)
            yield Finding("d", f"orders{title}", _speed(result), "orders/s", how=entrant.how)


def _spread_of(what: str, seconds: Sequence[float], how: str) -> Iterator[Finding]:
    for percent in (50, 99):
        value = percentile(seconds, percent) * 1000
        yield Finding("d", f"{what}, p{percent}", value, "ms", how=how)


# What a PUT carries, part (e)


def puts(lab: Lab) -> Iterator[Finding]:
    """Part (e): entries counted in the bucket before and after."""
    entrant = Entrant("ours", our_shop(lab), 2, CALLERS // 2)
    placed, stored = _counted(lab, entrant, goods.SPREAD)
    yield Finding(
        "e", "orders per PUT under load", placed.asked / stored, "", 20.0, how=entrant.how
    )
    refused, stored = _counted(lab, entrant, [goods.SOLD_OUT])
    if refused.placed:
        raise RuntimeError("what is sold out was sold")
    yield Finding(
        "e", "PUTs per refusal (sold out)", stored / refused.asked, "", 0.01, at_most=True
    )
    yield Finding("e", "refusals", refused.sold_out / refused.seconds, "refusals/s")


def _counted(lab: Lab, entrant: Entrant, products: Sequence[str]) -> tuple[Round, int]:
    """A round, and how many entries the journal grew by."""
    assert isinstance(entrant.recipe, Ours)
    before = shops.entries(entrant.recipe.address)
    result = entrant.run(products, lab.pace.round_seconds)
    return result, shops.entries(entrant.recipe.address) - before


# One process or two, part (g)


def processes(lab: Lab) -> Iterator[Finding]:
    """Part (g): as many callers in one process and in two."""
    ours = our_shop(lab)
    for mode in _GOODS:
        entrants = [Entrant("ours", ours, 1, CALLERS), Entrant("ours", ours, 2, CALLERS // 2)]
        results = lab.alternate(*(_runs(lab, mode, each) for each in entrants))
        one, two = (middle(found, _speed) for found in results)
        lab.say(f"writing processes, {mode}: one {one:,.0f}, two {two:,.0f} orders/s")
        yield ratio("g", f"{mode}: two processes to one", two, one)
        for entrant, figure in zip(entrants, (one, two), strict=True):
            yield Finding("g", f"{mode}: ours", figure, "orders/s", how=entrant.how)
