"""Search among a million products, against SQLite's own full-text search: part (h).

Ours is what a service runs: `view.search` on a replica, words by Tantivy beside it, twenty
documents read, checked and decoded. The peer is FTS5 over the same words with bm25, or sorted by a
column, and answers keys alone. Both are asked the same searches in the same process, one after the
other.
"""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from bench import names
from bench.lab import Lab
from bench.report import Finding
from services.commerce.domain import CATALOGUE
from shared.clock import SystemClock
from shared.storage import replica as replicas
from shared.storage.access import Search
from shared.storage.catalogue import Body
from shared.storage.entry import Entry, Write, digest, encode, encode_value
from shared.storage.replica import Replica
from shared.storage.transaction import ORDINAL_BITS, ReadOnlyView
from shared.storage.words import Word, index_words, query_words

_PRODUCTS = 1_000_000
_PRODUCTS_QUICK = 100_000
_BATCH = 2000
_ASKED, _ASKED_OF_PEER = 60, 6
_LISTED = 20
_P95_MS_MAX = 25.0
_ORDERS = (("relevance", False), ("price", False), ("price", True), ("listed_ms", True))


@dataclass(frozen=True, slots=True)
class _Kind:
    """Searches of one kind; `text` gives another one each time."""

    name: str
    text: Callable[[random.Random], str]
    county: bool = False
    bounded: bool = False


def _piece(chance: random.Random, sample: Sequence[str]) -> str:
    """Two characters out of the middle of some name."""
    name = chance.choice(sample)
    at = chance.randrange(2, 5)
    return name[at : at + 2]


def _kinds(sample: Sequence[str]) -> list[_Kind]:
    return [
        _Kind("a word of every second name", lambda _: "有机"),
        _Kind("two common words", lambda _: "有机 特级"),
        _Kind("a common word and goods", lambda chance: f"有机{chance.choice(names.GOODS)}"),
        _Kind("goods", lambda chance: chance.choice(names.GOODS)),
        _Kind("two characters of a name", lambda chance: _piece(chance, sample)),
        _Kind("a whole name", lambda chance: chance.choice(sample)[:12]),
        _Kind("a common word in one county", lambda _: "有机", county=True),
        _Kind("a common word, price bounded", lambda _: "有机", bounded=True),
    ]


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (h)."""
    count = _PRODUCTS if lab.pace.flushed else _PRODUCTS_QUICK
    folder = lab.directory("search")
    lab.say(f"search: {count:,} products, ours")
    replica = _filled(folder / "replica.db", count)
    seconds = _timed(partial(_feed, replica))
    yield Finding("h", "ours: fed to the index", count / seconds, "products/s")
    yield Finding("h", "ours: the index's size", _megabytes(folder.glob("search-*/*")), "MB")
    lab.say("search: the peer")
    peer = _peer(folder / "peer.db", count)
    yield Finding("h", "the peer's size", _megabytes([folder / "peer.db"]), "MB")
    lab.say("search: asked")
    sample = [body["name_zh"] for _, body in names.products(5000)]
    yield from _asked(replica, peer, sample)
    yield from _behind(replica, peer, count)
    replica.close()


def _asked(replica: Replica, peer: sqlite3.Connection, sample: Sequence[str]) -> Iterator[Finding]:
    everything: list[float] = []
    slowest = 0.0
    for kind in _kinds(sample):
        for order, descending in _ORDERS:
            chance = random.Random(7)
            asked = [_search(kind, order, chance, descending) for _ in range(_ASKED)]
            ours = [_milliseconds(partial(_ours, replica, search)) for search in asked]
            theirs = [
                _milliseconds(partial(_theirs, peer, search)) for search in asked[:_ASKED_OF_PEER]
            ]
            everything += ours
            slowest = max(slowest, p95 := _share(ours, 0.95))
            middle, peers = _share(ours, 0.5), _share(theirs, 0.5)
            how = f"median {middle:.1f} ms; the peer's {peers:.1f} ms, {peers / middle:.1f} times"
            way = f"{'-' if descending else ''}{order}"
            yield Finding("h", f"{kind.name}, by {way}: p95", p95, "ms", how=how)
    p95 = _share(everything, 0.95)
    yield Finding("h", "search: p95 of all", p95, "ms", _P95_MS_MAX, at_most=True)
    yield Finding("h", "search: p95 of the slowest kind", slowest, "ms", _P95_MS_MAX, at_most=True)


def _behind(replica: Replica, peer: sqlite3.Connection, count: int) -> Iterator[Finding]:
    """What it costs to write products when there are so many, and until they are found."""
    changed = [(f"new_{number}", body) for number, (_, body) in enumerate(names.products(200))]
    committing = _timed(partial(_apply, replica, changed))
    feeding = _timed(partial(_feed, replica))
    peers = _timed(partial(_index, peer, changed, count))
    yield Finding("h", "ours: an entry of 200 products, applied", committing * 1000, "ms")
    yield Finding("h", "ours: until they are found, beside the tick", feeding * 1000, "ms")
    yield Finding("h", "the peer: 200 products indexed in the commit", peers * 1000, "ms")


# Ours


def _filled(path: Path, count: int) -> Replica:
    replicas.build(path, CATALOGUE, "bench")
    replica = Replica(path, CATALOGUE, SystemClock())
    made = names.products(count)
    while batch := list(islice(made, _BATCH)):
        _apply(replica, batch)
    return replica


def _apply(replica: Replica, products: Sequence[tuple[str, Body]]) -> None:
    head = replica.head()
    seq = head.seq + 1
    writes = tuple(
        Write("products", key, seq << ORDINAL_BITS | ordinal, 1, encode_value(body))
        for ordinal, (key, body) in enumerate(products, 1)
    )
    entry = Entry(seq, f"commit_{seq}", "bench", head.hash, seq, writes)
    stored = encode(entry)
    assert digest(stored) != head.hash
    replica.apply_entry(entry, stored)


def _feed(replica: Replica) -> None:
    level = False
    while not level:
        with replica.reading(60) as reader:
            level = replica.finder.feed(reader)


def _ours(replica: Replica, search: Search) -> None:
    with replica.reading() as reader:
        ReadOnlyView(reader).search(search, limit=_LISTED + 1)


def _search(kind: _Kind, order: str, chance: random.Random, descending: bool) -> Search:  # noqa: FBT001
    equal: dict[str, str | int] = {"for_sale": True}
    if kind.county:
        equal["division"] = chance.choice(("620102", "620103", "620122", "621002"))
    between = {"price": (2000, 6000)} if kind.bounded else {}
    return Search("products", kind.text(chance), equal, between, order, descending)


# The peer


def _peer(path: Path, count: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE VIRTUAL TABLE found USING fts5 (words, content = '')")
    connection.execute(
        "CREATE TABLE rows (id INTEGER PRIMARY KEY, key TEXT, division TEXT, for_sale INTEGER,"
        " price INTEGER, listed_ms INTEGER)"
    )
    made = names.products(count)
    first = 0
    while batch := list(islice(made, 50_000)):
        _index(connection, batch, first)
        first += len(batch)
    return connection


def _index(
    connection: sqlite3.Connection, products: Sequence[tuple[str, Body]], first: int
) -> None:
    connection.execute("BEGIN")
    for number, (key, body) in enumerate(products, first):
        members = (body["division"], body["for_sale"], body["price"], body["listed_ms"])
        connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", (number, key, *members))
        words = index_words(f"{body['name_zh']} {body['name_en']}")
        connection.execute("INSERT INTO found (rowid, words) VALUES (?, ?)", (number, words))
    connection.execute("COMMIT")


def _theirs_for(word: Word) -> str:
    star = "*" if word.begins else ""
    texts = [f'"{text}"{star}' for text in (word.text, word.other) if text]
    return f"({' OR '.join(texts)})"


def _theirs(connection: sqlite3.Connection, search: Search) -> None:
    words = [_theirs_for(word) for word in query_words(search.text)]
    where, values = ["found MATCH ?", "rows.for_sale = 1"], [" AND ".join(words)]
    if "division" in search.equal:
        where.append("rows.division = ?")
        values.append(str(search.equal["division"]))
    if search.between:
        where.append("rows.price BETWEEN 2000 AND 6000")
    order = "found.rank" if search.order == "relevance" else f"rows.{search.order}"
    connection.execute(
        "SELECT rows.key FROM found JOIN rows ON rows.id = found.rowid"
        f" WHERE {' AND '.join(where)} ORDER BY {order}{' DESC' if search.descending else ''}"
        f" LIMIT {_LISTED + 1}",
        values,
    ).fetchall()


# Measuring


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _milliseconds(run: Callable[[], object]) -> float:
    return _timed(run) * 1000


def _share(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _megabytes(files: Iterator[Path] | list[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6
