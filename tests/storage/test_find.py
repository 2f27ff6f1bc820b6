"""Ordered lists, with and without a transaction's own writes on top, against a model in Python."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.storage.access import Hit, Transaction
from shared.storage.catalogue import Body, Catalogue, Collection, Index
from shared.storage.entry import Entry, Write, encode, encode_value
from shared.storage.reader import Reader
from shared.storage.replica import ROWS_MAX, Replica, build
from shared.storage.transaction import Batch, BatchTransaction, ReadOnlyView
from tests.support.clock import FakeClock

COLLECTION = "things"
CATALOGUE = Catalogue(
    Collection(
        COLLECTION,
        indexes=(
            Index("by_one", ("a",)),
            Index("by_two", ("a", "b")),
            Index("by_path", ("in.a", "b")),
        ),
    ),
    Collection("others", indexes=(Index("others_by_a", ("a",)),)),
)
FIELDS = {name: index.fields for name, (_, index) in CATALOGUE.indexes.items()}

# Few different values, so that ties and equal leading members are common.
COMMON = st.sampled_from(["a", "百合", 1])
RARE = st.sampled_from(["", "b", "百", "🌸", "Z", "'", "10", 0, -1, 2, 1 << 52, 0.5])
ODD = st.sampled_from([None, True, False, [], [1, "a"], {}, {"a": [0.5, "é\x01"]}])
SCALARS = COMMON | COMMON | COMMON | RARE
MEMBERS = SCALARS | SCALARS | ODD
FULL = st.fixed_dictionaries(
    {"a": SCALARS, "b": SCALARS, "in": st.fixed_dictionaries({"a": SCALARS})},
)
PARTIAL = st.fixed_dictionaries(
    {},
    optional={"a": MEMBERS, "b": MEMBERS, "in": st.fixed_dictionaries({}, optional={"a": MEMBERS})},
)
BODIES = FULL | FULL | PARTIAL
KEYS = st.sampled_from(["k0", "k1", "k2", "k3", "k4", "k5", "百", "k10"])
WRITES = st.dictionaries(KEYS, BODIES | BODIES | st.none(), min_size=2, max_size=8)


@dataclass(frozen=True)
class Asked:
    index: str
    equal: tuple[Any, ...]
    limit: int
    after: tuple[Any, ...] | None
    descending: bool
    until: Any


@st.composite
def questions(draw: st.DrawFn, documents: dict[str, Body]) -> Asked:
    """A question about documents, its bounds mostly at the edge of one of them."""
    index = draw(st.sampled_from(["by_one", "by_two", "by_path"]))
    fields = FIELDS[index]
    rows = [(*(indexed(body, path) for path in fields), key) for key, body in documents.items()]
    standing = [row for row in rows if None not in row]
    anywhere = st.tuples(*[SCALARS] * len(fields), KEYS)
    edge = draw(st.sampled_from(standing) | anywhere if standing else anywhere)
    lead = draw(st.integers(0, len(fields)))
    descending = draw(st.booleans())
    until = edge[lead] if not descending and draw(st.booleans()) else None
    after = edge[lead:] if until is None and draw(st.booleans()) else None
    return Asked(index, edge[:lead], draw(st.integers(1, 9)), after, descending, until)


def order(values: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    """Numbers before text."""
    return tuple((isinstance(value, str), value) for value in values)


def indexed(body: Body, path: str) -> Any:
    value: Any = body
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return encode_value(value).decode() if isinstance(value, dict | list) else value


def expected(documents: dict[str, Body], asked: Asked) -> list[tuple[str, tuple[Any, ...]]]:
    """The model: keys and positions."""
    fields, lead = FIELDS[asked.index], len(asked.equal)
    rows = []
    for key, body in documents.items():
        values = tuple(indexed(body, path) for path in fields)
        if None in values or order(values[:lead]) != order(asked.equal):
            continue
        position = (*values[lead:], key)
        if asked.until is not None and order(position)[:1] > order((asked.until,)):
            continue
        if asked.after is not None and (
            order(position) >= order(asked.after)
            if asked.descending
            else order(position) <= order(asked.after)
        ):
            continue
        rows.append((key, position))
    rows.sort(key=lambda row: order(row[1]), reverse=asked.descending)
    return rows[: asked.limit]


def found(hits: list[Hit]) -> list[tuple[str, tuple[Any, ...]]]:
    return [(hit.document.key, hit.position) for hit in hits]


class Shelf:
    """A replica whose documents a test sets, and transactions on top of it."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.documents: dict[str, Body] = {}
        self._hash = ""

    def hold(self, documents: dict[str, Body | None]) -> None:
        """Have the replica hold just these."""
        head = self.replica.head()
        wanted = dict.fromkeys(self.documents) | documents
        writes = [
            Write(
                COLLECTION,
                key,
                head.seq << 16 | ordinal,
                1,
                None if body is None else encode_value(body),
            )
            for ordinal, (key, body) in enumerate(wanted.items(), 1)
        ]
        entry = Entry(head.seq + 1, "c", "w", head.hash, 0, tuple(writes))
        self.replica.apply(encode(entry), head.seq + 1)
        self.documents = {key: body for key, body in wanted.items() if body is not None}

    def batch(self, reader: Reader) -> Batch:
        return Batch(reader, FakeClock(), 0)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    path = tmp_path_factory.mktemp("shelf") / "replica.db"
    build(path, CATALOGUE, "database")
    replica = Replica(path, CATALOGUE, FakeClock())
    yield Shelf(replica)
    replica.close()


def write(tx: Transaction, writes: dict[str, Body | None]) -> None:
    for key, body in writes.items():
        if body is None:
            tx.delete(COLLECTION, key)
        else:
            tx.put(COLLECTION, key, body)


def over(documents: dict[str, Body], *layers: dict[str, Body | None]) -> dict[str, Body]:
    for layer in layers:
        documents = {key: body for key, body in (documents | layer).items() if body is not None}
    return documents


def ask(view: ReadOnlyView | BatchTransaction, asked: Asked) -> list[tuple[str, tuple[Any, ...]]]:
    return found(
        view.find(
            asked.index,
            asked.equal,
            limit=asked.limit,
            after=asked.after,
            descending=asked.descending,
            until=asked.until,
        )
    )


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WRITES, WRITES, WRITES, st.data())
def test_a_list_is_what_it_would_be_had_all_been_stored(
    shelf: Shelf,
    stored: dict[str, Body | None],
    before: dict[str, Body | None],
    own: dict[str, Body | None],
    data: st.DataObject,
) -> None:
    shelf.hold(stored)
    with shelf.replica.reading() as reader:
        for _ in range(3):
            asked = data.draw(questions(shelf.documents))
            assert ask(ReadOnlyView(reader), asked) == expected(shelf.documents, asked)
        batch = shelf.batch(reader)
        batch.run(lambda tx: write(tx, before), bytes_max=1 << 20)

        documents = over(shelf.documents, before, own)
        # Drawn here: a change that takes long is run once more.
        drawn = [data.draw(questions(documents)) for _ in range(6)]

        def change(tx: Transaction) -> None:
            assert isinstance(tx, BatchTransaction)
            write(tx, own)
            for asked in drawn:
                assert ask(tx, asked) == expected(documents, asked)
            for key in {*stored, *before, *own}:
                document = tx.get(COLLECTION, key)
                assert (document and document.body) == documents.get(key)

        batch.run(change, bytes_max=1 << 20)


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WRITES, WRITES, st.data(), st.integers(1, 3))
def test_pages_one_after_another_give_the_whole_list(
    shelf: Shelf,
    stored: dict[str, Body | None],
    own: dict[str, Body | None],
    data: st.DataObject,
    size: int,
) -> None:
    shelf.hold(stored)
    asked = data.draw(questions(over(shelf.documents, own)))
    whole = Asked(asked.index, asked.equal, 100, None, asked.descending, asked.until)
    with shelf.replica.reading() as reader:
        pages: list[tuple[str, tuple[Any, ...]]] = []

        def change(tx: Transaction) -> None:
            assert isinstance(tx, BatchTransaction)
            write(tx, own)
            after = None
            while page := ask(
                tx, Asked(asked.index, asked.equal, size, after, asked.descending, asked.until)
            ):
                pages.extend(page)
                after = page[-1][1]

        shelf.batch(reader).run(change, bytes_max=1 << 20)
        assert pages == expected(over(shelf.documents, own), whole)


def test_a_list_is_read_from_its_index_alone(shelf: Shelf) -> None:
    with shelf.replica.reading() as reader:
        connection = reader._connection
        executed: list[str] = []
        connection.set_trace_callback(executed.append)
        ReadOnlyView(reader).find("by_two", ("a",), limit=3, after=("b", "k1"))
        connection.set_trace_callback(None)
        [plan] = connection.execute(f"EXPLAIN QUERY PLAN {executed[-1]}").fetchall()

    assert "USING INDEX by_two" in plan[3]


def test_a_list_is_capped(shelf: Shelf) -> None:
    shelf.hold({f"row{number:05}": {"a": "many"} for number in range(ROWS_MAX + 5)})
    with shelf.replica.reading() as reader:
        view = ReadOnlyView(reader)
        assert len(view.find("by_one", ("many",), limit=ROWS_MAX + 5)) == ROWS_MAX
        assert view.find("by_one", ("many",), limit=-1) == []
    shelf.hold({})


def test_another_collections_documents_stand_in_no_list(shelf: Shelf) -> None:
    shelf.hold({"k": {"a": "x"}})
    with shelf.replica.reading() as reader:

        def change(tx: Transaction) -> list[Hit]:
            tx.put("others", "o", {"a": "x"})
            return tx.find("by_one", ("x",), limit=9)

        hits = shelf.batch(reader).run(change, bytes_max=1 << 20)
    assert [hit.document.key for hit in hits] == ["k"]
    shelf.hold({})


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(KEYS, st.booleans()), max_size=6), max_size=6))
def test_revisions_never_repeat_and_grow_with_every_write(
    shelf: Shelf, batches: list[list[tuple[str, bool]]]
) -> None:
    """Also where a document is deleted and made again, within a batch and across batches."""
    given: set[int] = set()
    latest: dict[str, int] = {}
    for steps in batches:
        with shelf.replica.reading() as reader:
            batch = shelf.batch(reader)
            for key, keep in steps:
                document = batch.run(
                    lambda tx, k=key, p=keep: step(tx, k, keep=p), bytes_max=1 << 20
                )
                if document is not None:
                    assert document.revision not in given
                    assert document.revision > latest.get(key, 0)
                    given.add(document.revision)
                    latest[key] = document.revision
            head = reader.head
        entry = Entry(head.seq + 1, "c", "w", head.hash, 0, tuple(batch.layer.writes.values()))
        shelf.replica.apply(encode(entry), head.seq + 1)
    shelf.documents = {key: {} for key in latest}
    shelf.hold({})


def step(tx: Transaction, key: str, *, keep: bool) -> Any:
    if keep:
        return tx.put(COLLECTION, key, {"a": 1})
    tx.delete(COLLECTION, key)
    return None
