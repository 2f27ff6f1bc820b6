"""What a thousand to a million documents cost: part (j).

The documents are orders and their stores' rows, written by the engine itself in entries of some
hundred, with the snapshots that it makes by itself on the way. All sizes are asked in turn, so that
what else the machine does falls on all of them; opening is done by a fresh process each time.
"""

import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from bench import goods, shops
from bench.lab import Lab
from bench.report import Finding
from bench.rounds import intent, percentile
from bench.shops import PREFIX, await_ready, open_database
from services.commerce import domain
from services.commerce.actions import orders
from services.commerce.domain import Line
from shared.clock import SystemClock
from shared.storage.access import Claim, Freshness, Transaction
from shared.storage.catalogue import Body
from shared.storage.database import JournalDatabase
from shared.storage.s3 import S3Address, S3Store
from shared.storage.snapshot import REPLAY_BYTES_MIN, REPLAY_SHARE, stored_snapshots

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SIZES_QUICK = (1_000, 10_000)
ORDERS_OF_A_CITIZEN = 25
ASKED = ("placing an order", "reading an order by id", "a citizen's list")

_ORDERS_A_CHANGE = 100
_WRITERS = 4
_PLACED, _READ, _LISTED = 200, 2000, 500
_PAGE = 20
_FILLING = 1 << 40
"""Seeds of what is written last."""

_NEARLY = 0.95
_BYTES_A_SECOND = 125_000_000
"""One gigabit a second."""

_LONGER_MAX = 1.3
_RESTART_MAX = 1.5
_COLD_SECONDS_MAX = 10.0
_DELAY_MS_MAX = 50.0

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class _Grown:
    """A shop with `size` documents, its container's directory, and the orders in it."""

    size: int
    address: S3Address
    directory: Path
    ids: list[str]
    database: JournalDatabase
    places: int = 0


@dataclass(frozen=True, slots=True)
class _Opening:
    """How a process came to its first answer."""

    seconds: float
    rss_bytes: int


class GigabitStore(S3Store):
    """The store at the end of a line of one gigabit a second."""

    def get(self, key: str) -> bytes:
        body = super().get(key)
        time.sleep(len(body) / _BYTES_A_SECOND)
        return body


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (j)."""
    sizes = SIZES if lab.pace.flushed else SIZES_QUICK
    grown = [_grow(lab, size) for size in sizes]
    limits = (_LONGER_MAX, _LONGER_MAX, None)
    for what, limit, ask in zip(ASKED, limits, (_place, _read, _list), strict=True):
        yield from _compared(lab, what, grown, ask, limit)
    yield from _snapshot_beside_orders(lab, grown[-1])
    for each in grown:
        each.database.close()
    yield from _openings(lab, grown)
    yield from _longest_opening(lab, grown[-1])


def _named(what: str, size: int, percent: int) -> str:
    return f"{what}, {size:,} documents: p{percent}"


def drawn(findings: Sequence[Finding]) -> str:
    """Charts of what was found, as Mermaid draws them: p50 below, p95 above."""
    values = {finding.what: finding.value for finding in findings}
    charts = []
    for what in ASKED:
        lines = [
            [
                values[_named(what, size, percent)]
                for size in SIZES
                if _named(what, size, 50) in values
            ]
            for percent in (50, 95)
        ]
        if lines[0]:
            charts.append(_chart(f"{what}: p50 and p95", "ms", lines))
    return "\n".join(charts)


def _chart(title: str, unit: str, lines: list[list[float]]) -> str:
    names = ", ".join(f'"{size:,}"' for size in SIZES[: len(lines[0])])
    top = 1.2 * max(max(line) for line in lines)
    rows = [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "documents" [{names}]',
        f'    y-axis "{unit}" 0 --> {top:.3g}',
        *(f"    line [{', '.join(f'{value:.3g}' for value in line)}]" for line in lines),
        "```",
    ]
    return "\n".join(rows) + "\n"


# Growing


def _grow(lab: Lab, size: int) -> _Grown:
    address, directory = lab.bucket(), lab.directory("grown")
    shops.seed(address, directory)
    clock = SystemClock()
    database = open_database(S3Store(address, clock), directory, clock, 64)
    began = time.monotonic()
    citizens = max(1, size // 2 // ORDERS_OF_A_CITIZEN)
    changes = range(size // 2 // _ORDERS_A_CHANGE)
    with ThreadPoolExecutor(_WRITERS) as pool:
        made = pool.map(lambda number: _write(database, number, citizens), changes)
        ids = [each for some in made for each in some]
    _await_snapshot(address, database)
    lab.say(f"growth: {size:,} documents, in {time.monotonic() - began:.0f} s")
    return _Grown(size, address, directory, ids, database)


def _write(database: JournalDatabase, number: int, citizens: int) -> list[str]:
    """A hundred orders and their stores' rows; the orders' ids."""
    chance = random.Random(number)
    asked = [
        (chance.randrange(citizens), chance.choice(goods.SPREAD)) for _ in range(_ORDERS_A_CHANGE)
    ]
    bodies = {product: goods.product(place) for place, product in enumerate(goods.SPREAD)}

    def change(tx: Transaction) -> list[str]:
        return [_write_order(tx, f"citizen-{who}", bodies, product) for who, product in asked]

    return database.transact(change).value


def _write_order(tx: Transaction, citizen: str, bodies: dict[str, Body], product: str) -> str:
    order = domain.new_order(citizen, tx.now_ms, [(Line(product, 1), bodies[product])])
    order_id = tx.new_id("order")
    [part] = order["parts"]
    row = {"store": part["store"], "state": part["state"], "order": order_id}
    tx.put("consignments", f"{order_id}.{part['store']}", row)
    tx.put("orders", order_id, order)
    return order_id


def _await_snapshot(address: S3Address, database: JournalDatabase) -> None:
    """Serve on until no snapshot is being made, as a container would."""
    store = S3Store(address, SystemClock())
    known, since = -1, time.monotonic()
    while time.monotonic() - since < 15:
        database.read(lambda _: None)
        seqs = [each.seq for each in stored_snapshots(store, PREFIX)[:1]]
        if [known] != seqs[:1] and seqs:
            known, since = seqs[0], time.monotonic()
        time.sleep(0.5)


# Asking


def _compared(
    lab: Lab,
    what: str,
    grown: list[_Grown],
    ask: Callable[[_Grown], list[float]],
    limit: float | None,
) -> Iterator[Finding]:
    found = lab.alternate(*(partial(ask, each) for each in grown), warm=False)
    middles = []
    for each, rounds in zip(grown, found, strict=True):
        told = []
        for percent in (50, 95):
            value = median(percentile(seconds, percent) for seconds in rounds) * 1000
            told.append(f"p{percent} {value:.3f} ms")
            yield Finding("j", _named(what, each.size, percent), value, "ms")
            if percent == 50:
                middles.append(value)
        lab.say(f"growth: {what}, {each.size:,}: {', '.join(told)}")
    longest = f"{what}: {grown[-1].size:,} documents to {grown[0].size:,}"
    yield Finding("j", longest, middles[-1] / middles[0], "×", limit, at_most=True)


def _place(grown: _Grown) -> list[float]:
    chance = random.Random(grown.places)
    return [_timed(partial(_place_one, grown, chance)) for _ in range(_PLACED)]


def _place_one(grown: _Grown, chance: random.Random) -> None:
    grown.places += 1
    citizen = _citizen(grown, chance)
    claim = Claim(citizen, "POST /orders", intent(chance), "0" * 64)
    line = Line(chance.choice(goods.SPREAD), 1)
    orders.place_order(grown.database, citizen, claim, [line], None)


def _read(grown: _Grown) -> list[float]:
    """With a Commit-Seq, as a client that has just been given the id: the replica alone."""
    chance = random.Random(1)
    ids = [chance.choice(grown.ids) for _ in range(_READ)]
    seen = Freshness(at_least_seq=1)

    def read(order_id: str) -> None:
        grown.database.read_one("orders", order_id, seen)

    return [_timed(partial(read, order_id)) for order_id in ids]


def _list(grown: _Grown) -> list[float]:
    chance = random.Random(2)
    seen = Freshness(at_least_seq=1)

    def ask() -> None:
        found = orders.list_orders(
            grown.database, _citizen(grown, chance), limit=_PAGE, after=None, freshness=seen
        )
        assert found.value

    return [_timed(ask) for _ in range(_LISTED)]


def _citizen(grown: _Grown, chance: random.Random) -> str:
    return f"citizen-{chance.randrange(max(1, len(grown.ids) // ORDERS_OF_A_CITIZEN))}"


# Making a snapshot beside orders


def _snapshot_beside_orders(lab: Lab, grown: _Grown) -> Iterator[Finding]:
    """What making one adds to the slowest orders: as many are placed before as meanwhile."""
    [source] = grown.directory.rglob("replica.db")
    copy = lab.directory("snapshot") / "copy.sqlite"
    argv = [sys.executable, "-m", "shared.storage.snapshot", str(source), str(copy)]
    chance = random.Random(3)
    meanwhile: list[float] = []
    began = time.monotonic()
    maker = subprocess.Popen(argv)
    while maker.poll() is None:
        meanwhile.append(_timed(partial(_place_one, grown, chance)))
    seconds = time.monotonic() - began
    before = [_timed(partial(_place_one, grown, chance)) for _ in meanwhile]
    if maker.returncode:
        raise RuntimeError("no snapshot was made; it said why above")
    packed = Path(f"{copy}.gz").stat().st_size / 1e6
    lab.say(
        f"growth: a snapshot of {packed:.0f} MB in {seconds:.0f} s, {len(before)} orders beside"
    )
    yield Finding("j", "making a snapshot", seconds, "s", how=f"{packed:.0f} MB")
    for title, seconds_each in (("without", before), ("while one is made", meanwhile)):
        for percent in (50, 99):
            value = percentile(seconds_each, percent) * 1000
            yield Finding("j", f"an order, {title}: p{percent}", value, "ms")
    slower = (max(meanwhile) - max(before)) * 1000
    how = f"{max(meanwhile) * 1000:.0f} against {max(before) * 1000:.0f} ms of {len(before)}"
    yield Finding(
        "j",
        "the slowest order while a snapshot is made, above the slowest without",
        max(0.0, slower),
        "ms",
        _DELAY_MS_MAX,
        at_most=True,
        how=how,
    )


# Opening


def _openings(lab: Lab, grown: list[_Grown]) -> Iterator[Finding]:
    restarts: list[float] = []
    for each in grown:
        warm = [_opened_by_another(each.address, each.directory) for _ in range(lab.pace.rounds)]
        cold = [
            _opened_by_another(each.address, lab.directory("cold")) for _ in range(lab.pace.rounds)
        ]
        restarts.append(median(opening.seconds for opening in warm))
        first = median(opening.seconds for opening in cold)
        rss = max(opening.rss_bytes for opening in warm) / 1e6
        peak = max(opening.rss_bytes for opening in cold) / 1e6
        lab.say(
            f"growth: {each.size:,}: restart {restarts[-1]:.3f} s, cold {first:.2f} s,"
            f" {rss:.0f} MB, {peak:.0f} MB after a cold start"
        )
        yield Finding("j", f"restart, {each.size:,} documents", restarts[-1], "s")
        target = _COLD_SECONDS_MAX if each.size == SIZES[-1] else None
        yield Finding("j", f"cold start, {each.size:,} documents", first, "s", target, at_most=True)
        yield Finding("j", f"a process after a restart, {each.size:,} documents", rss, "MB")
        yield Finding("j", f"its peak in a cold start, {each.size:,} documents", peak, "MB")
    longest = f"restart: {grown[-1].size:,} documents to {grown[0].size:,}"
    yield Finding("j", longest, restarts[-1] / restarts[0], "×", _RESTART_MAX, at_most=True)


def _longest_opening(lab: Lab, grown: _Grown) -> Iterator[Finding]:
    """A cold start just before the next snapshot is due."""
    written, replayed = _fill(grown)
    cold = [
        _opened_by_another(grown.address, lab.directory("cold")) for _ in range(lab.pace.rounds)
    ]
    seconds = median(opening.seconds for opening in cold)
    lab.say(f"growth: cold {seconds:.2f} s with {replayed:.0f} MB to replay")
    what = f"cold start, {grown.size:,} documents, just before the next snapshot"
    how = f"{written:,} more, {replayed:.0f} MB of entries to replay"
    yield Finding("j", what, seconds, "s", _COLD_SECONDS_MAX, at_most=True, how=how)


def _fill(grown: _Grown) -> tuple[int, float]:
    """Write until a snapshot is nearly due; how many documents, and what there is to replay, MB."""
    clock = SystemClock()
    store = S3Store(grown.address, clock)
    database = open_database(store, grown.directory, clock, 64)
    await_ready(database)
    assert database.parts is not None
    replica = database.parts.follower.replica
    newest = [each.journal_bytes for each in stored_snapshots(store, PREFIX)[:1]]
    written = 0
    with ThreadPoolExecutor(_WRITERS) as pool:
        while True:
            replayed = replica.head().bytes - sum(newest)
            if replayed > _NEARLY * max(REPLAY_BYTES_MIN, replica.used_bytes() // REPLAY_SHARE):
                break
            numbers = range(_FILLING + written, _FILLING + written + 2 * _WRITERS)
            list(pool.map(lambda number: _write(database, number, grown.size), numbers))
            written += len(numbers) * _ORDERS_A_CHANGE * 2
    database.close()
    return written, replayed / 1e6


def _opened_by_another(address: S3Address, directory: Path) -> _Opening:
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_open, args=(address, directory, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        opening: _Opening = ours.recv()
    except EOFError:
        raise RuntimeError("a process could not open; it said why above") from None
    process.join()
    return opening


def _open(address: S3Address, directory: Path, results: Connection) -> None:
    clock = SystemClock()
    began = time.monotonic()
    database = open_database(GigabitStore(address, clock), directory, clock, 64)
    await_ready(database)
    seconds = time.monotonic() - began
    results.send(_Opening(seconds, _peak_bytes()))
    database.close()


def _peak_bytes() -> int:
    """The most memory that this process has held so far; `getrusage` counts its parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [each for each in status.splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
