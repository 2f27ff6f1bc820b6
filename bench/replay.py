"""What a long journal costs whoever has to read all of it: part (k).

The entries are orders of one line each, in a journal that is stored past the engine, since how it
came to be does not matter here. It is read, replayed and verified entry by entry; then its segments
are made as a container makes them, and all is done again.
"""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from bench import goods
from bench.lab import Lab
from bench.report import Finding, ratio
from services.commerce import domain
from services.commerce.domain import Line
from shared.clock import SystemClock, new_id
from shared.storage import rebuilding
from shared.storage.compaction import Compaction
from shared.storage.entry import Entry, Write, digest, encode, encode_value
from shared.storage.journal import Journal
from shared.storage.reader import Head
from shared.storage.s3 import S3Store
from shared.storage.segments import Segment
from shared.storage.transaction import ORDINAL_BITS
from shared.storage.verification import Verification

ENTRIES = 100_000
ENTRIES_QUICK = 5_000
PREFIX = "replay/"

_WRITERS = 16
_QUICKER_MIN = 2.0


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (k)."""
    count = ENTRIES if lab.pace.flushed else ENTRIES_QUICK
    with closing(S3Store(lab.bucket(), SystemClock())) as store:
        head = _write(lab, store, count)
        yield Finding("k", "an entry", head.bytes / count, "bytes")
        singly = {what: _timed(lab, what, how, store, count) for what, how in _WAYS.items()}
        made, seconds = _compact(store, head)
        packed = sum(segment.size_bytes for segment in made) / 1e6
        lab.say(f"replay: {len(made)} segments of {packed:.1f} MB in {seconds:.1f} s")
        yield Finding("k", f"segments of {count:,} entries", len(made), "objects")
        yield Finding("k", "their size to the entries'", packed * 1e6 / head.bytes, "×")
        yield Finding("k", "making them", count / seconds, "entries/s")
        for what, how in _WAYS.items():
            quicker = _timed(lab, f"{what}, by segments", how, store, count)
            yield Finding("k", f"{what}, one by one", singly[what], "entries/s")
            yield Finding("k", f"{what}, by segments", quicker, "entries/s")
            target = _QUICKER_MIN if what == "reading" else None
            yield ratio("k", f"{what}, segments to one by one", quicker, singly[what], target)


def _timed(
    lab: Lab, what: str, how: Callable[[S3Store, int, Path], None], store: S3Store, count: int
) -> float:
    """Entries a second."""
    began = time.monotonic()
    how(store, count, lab.directory("replay"))
    speed = count / (time.monotonic() - began)
    lab.say(f"replay: {what} {speed:,.0f} entries/s")
    return speed


def _read(store: S3Store, count: int, _: Path) -> None:
    assert sum(1 for _ in Journal(store, PREFIX, SystemClock()).read_range(1, count)) == count


def _replay(store: S3Store, count: int, folder: Path) -> None:
    replica = rebuilding.rebuilt(
        store, PREFIX, SystemClock(), folder / "replica.db", _silent, _refuse
    )
    with closing(replica):
        assert replica.head().seq == count


def _verify(store: S3Store, count: int, folder: Path) -> None:
    with Verification(store, PREFIX, SystemClock(), folder, _refuse) as verification:
        assert verification.run("replay", _silent).entries == count


_WAYS: dict[str, Callable[[S3Store, int, Path], None]] = {
    "reading": _read,
    "replaying": _replay,
    "verifying": _verify,
}


def _silent(label: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:  # noqa: ARG001
    return nullcontext(lambda _: None)


def _refuse(finding: str) -> None:
    raise AssertionError(finding)


def _compact(store: S3Store, head: Head) -> tuple[list[Segment], float]:
    compaction = Compaction(store, PREFIX, SystemClock())
    made: list[Segment] = []
    began = time.monotonic()
    while claim := compaction.due(head):
        made += compaction.make(claim, head, lambda: False)
    return made, time.monotonic() - began


def _write(lab: Lab, store: S3Store, count: int) -> Head:
    journal, size, before = Journal(store, PREFIX, SystemClock()), 0, ""
    began = time.monotonic()
    with ThreadPoolExecutor(_WRITERS) as pool:
        for first in range(1, count + 1, 1_000):
            stored = list(_chained(first, min(first + 1_000, count + 1), before))
            keys = [journal.key(seq) for seq in range(first, first + len(stored))]
            list(pool.map(store.create, keys, stored))
            size, before = size + sum(map(len, stored)), digest(stored[-1])
    lab.say(f"replay: {count:,} entries in {time.monotonic() - began:.0f} s")
    return Head(count, before, 0, size)


def _chained(first: int, stop: int, before: str) -> Iterator[bytes]:
    for seq in range(first, stop):
        stored = encode(_entry(seq, before))
        yield stored
        before = digest(stored)


def _entry(seq: int, before: str) -> Entry:
    """An order of one line, with its store's row."""
    chance = random.Random(seq)
    place = chance.randrange(len(goods.SPREAD))
    now_ms = 1_767_225_600_000 + seq
    bodies = [(Line(goods.SPREAD[place], 1), goods.product(place))]
    order = domain.new_order(f"citizen-{chance.randrange(1000)}", now_ms, bodies)
    order_id = new_id("order", now_ms, chance.randbytes(10))
    [part] = order["parts"]
    row = {"store": part["store"], "state": part["state"], "order": order_id}
    named = [("orders", order_id, order), ("consignments", f"{order_id}.{part['store']}", row)]
    writes = tuple(
        Write(collection, key, seq << ORDINAL_BITS | ordinal, 1, encode_value(body))
        for ordinal, (collection, key, body) in enumerate(named, 1)
    )
    commit = new_id("commit", now_ms, chance.randbytes(10))
    database = "replay" if seq == 1 else None
    return Entry(seq, commit, "bench", before, now_ms, writes, database=database)
