"""`Finder`: the search index of one replica, beside it and outside of the commit.

    finder.feed(reader)                        # takes in a batch of what was written since
    finder.find(reader, search, limit, after)  # keys, best or first in order

An index of Tantivy's in the replica's own folder, which goes with it. It is derived from the
replica's documents by their revisions, says up to which revision it has them, and stands at most
about a second behind while its container serves: one process at a time feeds it, from the tailer's
tick, and a search that finds it a little behind brings it level first. Who has not seen it level
for `BEHIND_SECONDS` (its container slept, or has just started) brings it level or answers BUSY.
What it finds are keys; the caller reads the documents from the replica, so an answer never shows an
old document.

- Feeding is repeatable: a document replaces its earlier self. A crash between index and mark only
  means that some are fed again.
- An index that was never level (a first build, thousands of documents) answers BUSY, not a part.
- One that is damaged loses its mark, and without a mark nothing is an index: who feeds next, and
  nobody else, clears away what is there and begins another.
- What the machine is short of (space, descriptors) is no damage; it is BUSY.
"""

import errno
import fcntl
import hashlib
import os
import re
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import tantivy
from tantivy import Document, FieldType, Index, IndexWriter, Occur, Order, Query

from shared.clock import Clock
from shared.errors import BUSY, Refused
from shared.storage.access import Position, Search
from shared.storage.catalogue import Body, Catalogue, Collection, Value, member
from shared.storage.words import Word, index_words, query_words

LEVELLED_DOCUMENTS_MAX = 200
"""What a search itself takes in first; more is left to the feeder. 200 cost some 15 ms."""

FIRST_DOCUMENTS_MAX = 2_000
"""The same for an index that was never level, or not lately: a small one is there at once."""

BEHIND_SECONDS = 2.0
"""For so long a search may answer without what the feeder has not taken in yet."""

BATCH_DOCUMENTS_MAX = 20_000
"""Fed between two marks."""

TURN_SECONDS = 0.5
"""How long a search waits for another that feeds the index; then it answers on what there is."""

PAGED_ROWS_MAX = 10_000
"""How deep a list by relevance goes; one that is ordered by a number has no end."""

NUMBER_MAX = 1 << 44
"""Above it a number is not ordered by: its place also holds `_TIE_BITS` of the key."""

_TRIED_EACH_SECONDS = 0.005
_TIE_BITS = 20
_TIES_MAX = 16
_HEAP_BYTES = 15 << 20
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Changed:
    """A document as last written, upgraded; `body` is None where it was deleted."""

    collection: str
    key: str
    revision: int
    body: Body | None


@dataclass(frozen=True, slots=True)
class Found:
    """The key of a document, and where in the list it stands."""

    key: str
    position: Position


class Source(Protocol):
    """What a finder needs of a replica's state."""

    def changed(self, revision: int, limit: int) -> list[Changed]: ...


@dataclass(frozen=True, slots=True)
class _Mark:
    """The revision up to which the index has everything; `level` once it was level with it."""

    revision: int = 0
    level: bool = False


def admits(search: Search, body: Body) -> bool:
    """Whether a document meets a search's conditions, its words aside."""
    return (
        all(body.get(name) == value for name, value in search.equal.items())
        and all(_within(body.get(name), *bounds) for name, bounds in search.between.items())
        and (search.order == "relevance" or body.get(search.order) is not None)
    )


def _within(value: Any, low: int | None, high: int | None) -> bool:
    return value is not None and (low is None or low <= value) and (high is None or value <= high)


class Finder:
    """One process's hold on the index. Thread-safe; belongs to one process, made after fork."""

    def __init__(self, folder: Path, catalogue: Catalogue, clock: Clock) -> None:
        self._collections = {c.name: c for c in catalogue.collections.values() if c.searchable}
        numbers = sorted({n for c in self._collections.values() for n in c.numbers})
        self._schema = _schema(numbers)
        self._folder = folder / f"search-{_fingerprint(self._collections)}"
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._index: Index | None = None
        self._mark = _Mark()
        self._clock = clock
        self._level_at = float("-inf")
        self._stamp: tuple[int, int] | None = None

    # Feeding

    def feed(self, source: Source) -> bool:
        """Take in a batch; whether the index is level now. False too where another feeds it."""
        return self._level(source, BATCH_DOCUMENTS_MAX, feeds=True)

    def _level(self, source: Source, documents_max: int, *, feeds: bool = False) -> bool:
        """Bring the index level, if at most `documents_max` are missing or it `feeds` anyway."""
        level = self._brought_level(source, documents_max, feeds=feeds)
        if level:
            self._level_at = self._clock.monotonic()
        return level

    def _brought_level(self, source: Source, documents_max: int, *, feeds: bool) -> bool:
        self._refresh()
        if self._mark.level and not source.changed(self._mark.revision, 1):
            return True
        with self._alone() as lock:
            if lock is None:
                return False
            self._refresh()
            changed = source.changed(self._mark.revision, documents_max + 1)
            level = len(changed) <= documents_max
            if level or feeds:
                self._take_in(changed[:documents_max], lock, level=level, merges=feeds)
            return level

    @contextmanager
    def _alone(self) -> Iterator[int | None]:
        """The lock of who alone feeds, in any thread or process; None where another has it."""
        if not self._lock.acquire(timeout=TURN_SECONDS):
            yield None
            return
        try:
            with self._whole():
                self._folder.mkdir(exist_ok=True)
                lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            try:
                yield lock if self._got(lock) else None
            finally:
                os.close(lock)
        finally:
            self._lock.release()

    def _got(self, lock: int) -> bool:
        for _ in range(int(TURN_SECONDS / _TRIED_EACH_SECONDS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._pause.wait(_TRIED_EACH_SECONDS)
            else:
                return True
        return False

    def _take_in(self, changed: list[Changed], lock: int, *, level: bool, merges: bool) -> None:
        mark = self._mark
        with self._whole():
            index = self._opened() if mark.revision else self._begun()
            writer = index.writer(_HEAP_BYTES, 1)
            for each in changed:
                self._replace(writer, each)
            writer.commit()
            if merges:
                writer.wait_merging_threads()
            revision = changed[-1].revision if changed else mark.revision
            self._write_mark(_Mark(revision, level or mark.level), lock)

    def _replace(self, writer: IndexWriter, changed: Changed) -> None:
        name = f"{changed.collection}/{changed.key}"
        writer.delete_documents_by_term("name", name)
        if changed.body is None:
            return
        collection, body = self._collections[changed.collection], changed.body
        document = Document()
        document.add_text("name", name)
        texts = [member(body, path) for path in collection.text]
        words = index_words(" ".join(text for text in texts if isinstance(text, str)))
        document.add_text("words", words)
        document.add_text("facts", _fact("", collection.name))
        for path in collection.facts:
            value = member(body, path)
            if value is not None:
                document.add_text("facts", _fact(path, value))
        for path in collection.numbers:
            value = member(body, path)
            if isinstance(value, int) and 0 <= value < NUMBER_MAX:
                document.add_unsigned(_number(path), _place(value, changed.key))
        writer.add_document(document)

    def standing(self, source: Source) -> str:
        """`building` until the index was level once; then `level`, or `behind`."""
        self._refresh()
        if not self._mark.level:
            return "building"
        return "behind" if source.changed(self._mark.revision, 1) else "level"

    # The files

    def _opened(self) -> Index:
        if self._index is None:
            # Never made here: what there is no index of would be answered with nothing.
            self._index = Index.open(str(self._folder))
        return self._index

    def _begun(self) -> Index:
        """An empty index in the place of whatever is there, of which nobody knows anything."""
        self._index = None
        # The mark goes first: it must not speak of what a crash leaves of this.
        self._mark_path.unlink(missing_ok=True)
        for path in self._folder.iterdir():
            if path != self._lock_path:
                path.unlink(missing_ok=True)
        self._index = Index(self._schema, path=str(self._folder))
        return self._index

    def _refresh(self) -> None:
        """See what other processes fed."""
        with self._whole():
            stamp = self._stamp_now()
            if stamp == self._stamp:
                return
            # Before the index, which then has all that the mark speaks of.
            mark = self._read_mark()
            if stamp is None:
                self._index = None
            else:
                self._opened().reload()
            self._mark, self._stamp = mark, stamp

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._mark_path)  # noqa: PTH116 - before every search
        except FileNotFoundError:
            return None
        return (status.st_ino, status.st_mtime_ns)

    @property
    def _mark_path(self) -> Path:
        return self._folder / "mark"

    @property
    def _lock_path(self) -> Path:
        return self._folder / "feed.lock"

    def _read_mark(self) -> _Mark:
        try:
            revision, level = orjson.loads(self._mark_path.read_bytes())
        except (FileNotFoundError, ValueError, TypeError):
            return _Mark()
        return _Mark(revision, level)

    def _write_mark(self, mark: _Mark, lock: int) -> None:
        if not os.path.samestat(os.fstat(lock), self._lock_path.stat()):
            raise FileNotFoundError("the folder was removed, and another is there")
        staged = self._folder / "mark.new"
        staged.write_bytes(orjson.dumps([mark.revision, mark.level]))
        staged.replace(self._mark_path)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Whatever fails in the block is Refused(BUSY); where it is the index that is damaged, or
        has lost files, it has no mark from then on, and is built again.
        """
        try:
            yield
        except OSError as error:
            raise Refused(BUSY, retry_after_seconds=1) from error
        except BaseException as error:
            if not _is_tantivys(error):
                raise
            if not _SHORT.search(str(error)):
                self._index, self._mark, self._stamp = None, _Mark(), None
                with suppress(OSError):
                    self._mark_path.unlink()
            raise Refused(BUSY, retry_after_seconds=1) from error

    # Finding

    def find(
        self,
        source: Source,
        search: Search,
        limit: int,
        after: Position | None,
        *,
        goes_on: bool = False,
    ) -> list[Found]:
        """At most `limit` documents that meet a search, from `after` on. Who `goes_on` within one
        read has had the index brought level, or has waited for it, and does not do so again.

        Raises Refused(BUSY) while the index is not there, ValueError where it is not declared what
        the search asks for.
        """
        query = self._query(search)
        if query is None:
            return []
        if not goes_on:
            self._bring_near(source)
        with self._whole():
            if search.order == "relevance":
                return self._by_relevance(query, limit, after)
            return self._by_number(query, search, limit, after)

    def _bring_near(self, source: Source) -> None:
        """Bring the index level, or see that it was a moment ago. Raises Refused(BUSY)."""
        lately = self._clock.monotonic() - self._level_at < BEHIND_SECONDS
        level = self._level(source, LEVELLED_DOCUMENTS_MAX if lately else FIRST_DOCUMENTS_MAX)
        self._refresh()
        if not self._mark.level or not (level or lately):
            raise Refused(BUSY, retry_after_seconds=1)

    def _query(self, search: Search) -> Query | None:
        """None where the text holds no word at all."""
        declared = self._collections.get(search.collection)
        if declared is None:
            raise ValueError(f"{search.collection!r} is not declared to be searched")
        _check(declared, search)
        words = query_words(search.text)
        if search.text and not words:
            return None
        facts = [_fact("", search.collection), *(_fact(n, v) for n, v in search.equal.items())]
        must = [self._worded(word) for word in words]
        must += [self._stating(fact) for fact in facts]
        must += [self._between(name, *bounds) for name, bounds in search.between.items()]
        if search.order != "relevance" and search.order not in search.between:
            must.append(self._between(search.order, None, None))
        return Query.boolean_query([(Occur.Must, query) for query in must])

    def _worded(self, word: Word) -> Query:
        if word.begins:  # letters and digits only, so nothing in it is an operator
            begins = f"({word.text}|{word.other})" if word.other else word.text
            return Query.regex_query(self._schema, "words", f"{begins}.*")
        return Query.term_query(self._schema, "words", word.text, "freq")

    def _stating(self, fact: str) -> Query:
        return Query.const_score_query(Query.term_query(self._schema, "facts", fact, "basic"), 0.0)

    def _between(self, name: str, low: int | None, high: int | None) -> Query:
        highest = NUMBER_MAX - 1 if high is None else min(high, NUMBER_MAX - 1)
        return self._places(name, max(0, low or 0) << _TIE_BITS, (highest + 1 << _TIE_BITS) - 1)

    def _places(self, name: str, first: int, last: int) -> Query:
        if first > last:
            return Query.empty_query()
        ranged = Query.range_query(self._schema, _number(name), FieldType.Unsigned, first, last)
        return Query.const_score_query(ranged, 0.0)

    def _by_relevance(self, query: Query, limit: int, after: Position | None) -> list[Found]:
        skipped = int(after[0]) if after else 0
        limit = min(limit, PAGED_ROWS_MAX - skipped)
        if limit <= 0:
            return []
        searcher = self._opened().searcher()
        hits = searcher.search(query, limit, count=False, offset=skipped).hits
        keys = [_key(searcher, address) for _, address in hits]
        return [Found(key, (place,)) for place, key in enumerate(keys, skipped + 1)]

    def _by_number(
        self, query: Query, search: Search, limit: int, after: Position | None
    ) -> list[Found]:
        """In order of the number's place and, within one place, of the key."""
        if after is not None:
            reached = int(after[0])
            left = (0, reached) if search.descending else (reached, (1 << 64) - 1)
            rest = self._places(search.order, *left)
            query = Query.boolean_query([(Occur.Must, query), (Occur.Must, rest)])
        searcher = self._opened().searcher()
        hits = searcher.search(
            query,
            # Others may share the place of the last one; those before it are dropped again.
            limit + _TIES_MAX,
            count=False,
            order_by_field=_number(search.order),
            order=Order.Desc if search.descending else Order.Asc,
        ).hits
        places = [(int(place), _key(searcher, address)) for place, address in hits]
        places.sort(reverse=search.descending)
        if after is not None:
            behind = (int(after[0]), str(after[1]))
            places = [p for p in places if (p < behind if search.descending else p > behind)]
        return [Found(key, (place, key)) for place, key in places[:limit]]


def _is_tantivys(error: BaseException) -> bool:
    """Tantivy raises ValueError for all that it sees, and panics where it runs into it."""
    return isinstance(error, ValueError) or type(error).__module__ == "pyo3_runtime"


_SHORT_OF = "|".join(
    str(each)
    for each in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    )
)
_SHORT = re.compile(rf"(code: |os error )({_SHORT_OF})\b|writer was killed|acquire Lockfile")
"""In what Tantivy says where it could not open or write a file, which tells nothing of the index.
A writer is killed where its thread cannot write.
"""


def _check(declared: Collection, search: Search) -> None:
    numbers = {*search.between, *({search.order} - {"relevance"})}
    for name in (*(search.equal.keys() - declared.facts), *(numbers - set(declared.numbers))):
        raise ValueError(f"{declared.name} is not declared to be searched by {name!r}")


def _schema(numbers: list[str]) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("name", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("facts", tokenizer_name="raw", index_option="basic")
    for name in numbers:
        builder.add_unsigned_field(_number(name), indexed=True, fast=True)
    return builder.build()


def _fingerprint(collections: Mapping[str, Collection]) -> str:
    declared = sorted((c.name, c.text, c.facts, c.numbers, c.version) for c in collections.values())
    return hashlib.sha256(f"{_FORMAT}{declared!r}".encode()).hexdigest()[:12]


def _number(name: str) -> str:
    return f"number_{name}"


def _fact(name: str, value: Value) -> str:
    return f"{name}={orjson.dumps(value).decode()}"


def _place(value: int, key: str) -> int:
    """A number's place in its order; equal numbers are told apart by their keys."""
    return value << _TIE_BITS | zlib.crc32(key.encode()) >> (32 - _TIE_BITS)


def _key(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> str:
    name: str = searcher.doc(address).get_first("name") or ""
    return name.partition("/")[2]
