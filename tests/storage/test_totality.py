"""Invariant 8: whatever a transaction accepts, every replica applies, and all hold the same."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.storage.access import Document, Transaction
from shared.storage.catalogue import (
    Archive,
    Body,
    Catalogue,
    Collection,
    Conserved,
    Index,
    member,
)
from shared.storage.entry import (
    DEPTH_MAX,
    Entry,
    Event,
    UnreadableEntry,
    Write,
    decode,
    encode,
    encode_value,
)
from tests.storage.world import Caller, Container, World, note

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('\x00\x1f"\\\x7f百합🌸'))
ANY_TEXT = TEXT | st.text(st.characters())  # lone surrogates, too
NUMBERS = st.integers() | st.floats() | st.integers(-(1 << 53) - 1, (1 << 53) + 1)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(ANY_TEXT, children, max_size=4)
    ),
    max_leaves=12,
)
# Members that the catalogue's indexes and text search look at, of every kind.
NAMES = st.sampled_from(["county", "left", "citizen", "placed_ms", "name_zh", "name_en"]) | ANY_TEXT
BODIES: st.SearchStrategy[Any] = st.dictionaries(NAMES, VALUES, max_size=6) | VALUES
COLLECTIONS = st.sampled_from(["stock", "orders", "products", "pages", "notes"])
KEYS = ANY_TEXT | st.sampled_from(["a", "b", "", "k" * 200, "k" * 201])

CASES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


class Pair:
    """Two containers of one world: one writes, the other only follows."""

    def __init__(self, root: Path) -> None:
        self.world = World(root)
        self.here, self.there = self.world.container("here"), self.world.container("there")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.world.close()


@pytest.mark.fuzz
@CASES
@given(st.lists(st.tuples(COLLECTIONS, KEYS, BODIES | st.none()), max_size=6), BODIES)
def test_what_a_transaction_accepts_is_applied_everywhere(
    pair: Pair, writes: list[tuple[str, str, Any]], data: Any
) -> None:
    def change(tx: Transaction) -> int:
        for collection, key, body in writes:
            if body is None:
                tx.delete(collection, key)
            else:
                tx.put(collection, key, body)
        tx.emit("event", data)
        return tx.seq

    try:
        pair.here.database.transact(change)
    except ValueError:
        pair.here.database.transact(note("refused", "alone"))

    assert pair.there.probe() == pair.here.replica.head().seq
    assert pair.there.dump() == pair.here.dump()
    assert pair.here.follower.rebuilds == pair.there.follower.rebuilds == 1


@pytest.mark.fuzz
@CASES
@given(COLLECTIONS, TEXT.filter(bool), st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_read_back_is_what_json_makes_of_it(
    pair: Pair, collection: str, key: str, body: dict[str, Any]
) -> None:
    try:
        expected = orjson.loads(encode_value(body))
    except ValueError:
        return
    written: Document = pair.here.database.transact(
        lambda tx: tx.put(collection, key[:200], body)
    ).value

    found = pair.there.database.read(lambda view: view.require(collection, key[:200])).value
    assert found.revision == written.revision
    assert found.body == expected


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        7,
        None,
        {"a": 1 << 53},
        {"a": -(1 << 53)},
        {"a": "\ud800"},
        {"\udfff": 1},
        {"a": "nul\x00"},
        {"a": "\\\x00"},
        {"nul\x00": 1},
        {1: "a"},
        {"a": {1, 2}},
        {"a": ...},
        {"a": float("nan"), "b": None},
        {"a": [None, {"b": (1, -math.inf)}]},
        {"a": datetime(2014, 5, 20, tzinfo=UTC)},
        {"a": Write("c", "k", 1, 1, None)},
        {"a": type("Text", (str,), {})("subclass")},
    ],
    ids=repr,
)
def test_what_no_replica_could_hold_is_the_changes_own_mistake(
    here: Container, world: World, body: Any
) -> None:
    with here.one_batch() as queue:
        refused = queue(lambda tx: tx.put("notes", "n", body))
        fine = queue(note("fine"))

    assert isinstance(refused.outcome(), ValueError)
    assert fine.value().seq == 3


@pytest.mark.parametrize("key", ["\ud800", "a\udfffb"])
def test_a_key_that_is_not_unicode_is_the_changes_own_mistake(here: Container, key: str) -> None:
    with here.one_batch() as queue:
        refused, fine = queue(note(key)), queue(note("fine"))

    assert isinstance(refused.outcome(), ValueError)
    assert fine.value().seq == 3


def test_characters_that_look_like_an_escape_are_kept(here: Container) -> None:
    text = "\\u0000 \\\\u0000 \\\\\\u0000"
    here.database.transact(note("n", text))

    assert here.database.read(lambda view: view.require("notes", "n")).value.body["text"] == text


def nested(levels: int) -> dict[str, Any]:
    body: dict[str, Any] = {"brackets": "[{" * 40}
    for _ in range(levels - 1):
        body = {"a": body}
    return body


def test_nesting_is_bounded_by_depth_not_by_the_number_of_brackets(here: Container) -> None:
    wide: dict[str, Any] = {str(number): [{}] for number in range(1000)}
    here.database.transact(lambda tx: tx.put("notes", "wide", wide))
    here.database.transact(lambda tx: tx.put("notes", "deep", nested(DEPTH_MAX)))
    too_deep = Caller(
        lambda: here.database.transact(lambda tx: tx.put("notes", "n", nested(DEPTH_MAX + 1)))
    ).outcome()

    assert isinstance(too_deep, ValueError)


def test_documents_of_a_collection_that_this_release_does_not_know_are_kept(
    here: Container, world: World
) -> None:
    body = orjson.dumps({"from": "the future"})
    world.append(writes=(Write("unknown", "k", 2 << 16 | 1, 3, body),))
    here.database.transact(note("n"))

    assert here.dump()[-1][0] == "unknown"


def test_unknown_members_are_kept_and_older_documents_upgraded_on_read(
    here: Container, world: World
) -> None:
    body = orjson.dumps({"name": "old", "extra": [1, 2]})
    world.append(writes=(Write("pages", "p", 2 << 16 | 1, 1, body),))

    page = here.database.read(lambda view: view.require("pages", "p")).value.body
    assert page == {"name": "old", "extra": [1, 2], "title": "old"}
    inside = here.database.transact(lambda tx: tx.put("pages", "p", tx.require("pages", "p").body))
    assert inside.value.body == page
    [write] = world.entries()[2].writes
    assert write.version == 2
    assert orjson.loads(write.body or b"") == page


NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
NUMBER = st.integers(0, (1 << 53) - 1)


@pytest.mark.parametrize(
    "declared",
    [
        {"indexes": (Index("shops_by_county", ("at.county",)),)},
        {"archive": Archive(since="closed_ms")},
        {"conserved": Conserved("on_hand", ("free",))},
    ],
)
def test_an_upgrade_that_changes_what_is_read_as_it_is_stored_is_a_mistake(
    declared: dict[str, Any], world: World
) -> None:
    """A list would miss the document, though it is there and has the member."""
    old = world.container("old")
    world.sound = False  # replaying knows another catalogue
    old.database.transact(lambda tx: tx.put("notes", "old", {"at": {}}))

    def add(body: Body) -> Body:
        body["at"]["county"] = "620100"
        return {**body, "closed_ms": 1, "free": 0, "told": True}

    catalogue = Catalogue(Collection("notes", version=2, upgrades={1: add}, **declared))
    new = world.container("new", catalogue=catalogue)
    with pytest.raises(ValueError, match="an upgrade of notes changes"):
        new.database.read(lambda view: view.require("notes", "old"))
    new.database.transact(lambda tx: tx.put("notes", "new", {"at": {}}))
    assert new.database.read(lambda view: view.require("notes", "new")).value.body == {"at": {}}


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    def document() -> bytes:
        try:
            return encode_value(draw(st.dictionaries(TEXT, VALUES, max_size=3)))
        except ValueError:
            return b"{}"

    body = st.none() | st.builds(document)
    writes = [
        Write(draw(NAME), draw(NAME), draw(NUMBER), draw(NUMBER), draw(body))
        for _ in range(draw(st.integers(0, 3)))
    ]
    events = [Event(draw(NAME), draw(NAME), document()) for _ in range(draw(st.integers(0, 2)))]
    return Entry(
        seq=draw(NUMBER),
        commit=draw(NAME),
        writer=draw(NAME),
        prev=draw(NAME),
        time_ms=draw(NUMBER),
        writes=tuple(writes),
        events=tuple(events),
        database=draw(st.none() | NAME),
    )


@pytest.mark.fuzz
@CASES
@given(entries())
def test_encoding_and_decoding_are_inverse(entry: Entry) -> None:
    stored = encode(entry)

    assert decode(stored, entry.seq) == entry
    assert encode(decode(stored, entry.seq)) == stored


JSON = BODIES.map(lambda value: orjson.dumps(repr(value).encode("utf-8", "replace").decode()))


@pytest.mark.fuzz
@CASES
@given(st.binary() | JSON)
def test_bytes_that_are_no_entry_are_named_whatever_they_are(stored: bytes) -> None:
    with pytest.raises(UnreadableEntry, match="entry 7"):
        decode(stored, 7)


@pytest.mark.fuzz
@CASES
@given(entries(), st.data())
def test_an_entry_with_a_changed_byte_is_read_or_named(entry: Entry, data: st.DataObject) -> None:
    stored = bytearray(encode(entry))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] = data.draw(st.integers(0, 255))
    said = f"entry {entry.seq}"
    try:
        decode(bytes(stored), entry.seq)
    except UnreadableEntry as error:
        said = str(error)
    assert f"entry {entry.seq}" in said


def test_a_member_is_found_by_its_path() -> None:
    body = {"a": {"b": {"c": 1}}, "l": [{"b": 2}]}

    assert member(body, "a.b.c") == 1
    assert [member(body, path) for path in ("a.x", "a.b.c.d", "l.b", "x")] == [None] * 4
