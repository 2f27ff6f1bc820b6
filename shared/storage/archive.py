"""The archive: documents that are over leave the replica, and their ids still lead to them.

    ‹prefix›archive/‹collection›/‹random›.volume

What left lies in *volumes* (`volume.py`), each of which has the keys of one stretch: from its first
key to that of the next. A document of the engine's own for each volume, here in the replica and so
in the journal, says which stretch, which object, and what its contents are. So a key that is not
in the replica is in one volume or nowhere, and two reads of its object tell.

A query or change runs inside a transaction and asks the store for nothing. Where it comes to what
is archived it raises `Wanted`; who runs it fetches that outside of any transaction, and runs it
again with what was `Fetched`. Objects never change, and what was fetched counts only as long as
the state at hand still names the same object; so it is as true then as when it was fetched.

What is in the replica comes before what a volume says of the same key: writing an archived document
brings it back, and its copy counts no more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import orjson

from shared import errors
from shared.storage import volume as volumes
from shared.storage.access import Document, Hit, Position
from shared.storage.catalogue import VOLUMES, Body, Catalogue, Collection, Index, Value, member
from shared.storage.entry import digest
from shared.storage.objects import ObjectStore
from shared.storage.reader import Reader
from shared.storage.volume import Archived, Contents, VolumeDamaged

ROUNDS_MAX = 16
"""How often one call fetches and runs again. A person's page needs one or two."""

AT_ONCE_MAX = 8
"""Volumes that a list asks for in one round."""

_BY_FIRST = "volumes_by_first"
_LAST = "\U0010ffff"

Find = Callable[..., list[Hit]]
"""`View.find` of a state, past the archive."""


def folder_of(prefix: str, collection: str) -> str:
    """Where a collection's volumes are."""
    return f"{prefix}archive/{collection}/"


def due_index(collection: str) -> str:
    """The index by which documents that may leave are found."""
    return f"{collection}_to_archive"


def with_volumes(catalogue: Catalogue) -> Catalogue:
    """The catalogue of a service, with what this module needs where anything is archived."""
    collections = list(catalogue.collections.values())
    if not any(collection.archive for collection in collections):
        return catalogue
    own = Collection(VOLUMES, indexes=(Index(_BY_FIRST, ("collection", "first")),))
    return Catalogue(*map(_with_due_index, collections), own)


def _with_due_index(collection: Collection) -> Collection:
    if collection.archive is None:
        return collection
    due = Index(due_index(collection.name), (collection.archive.since,))
    return replace(collection, indexes=(*collection.indexes, due))


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as its document says; `last` is its last key, `hash` the SHA-256 of its object."""

    object: str
    collection: str
    first: str
    last: str
    hash: str
    revision: int = field(compare=False)
    contents: Contents = field(compare=False)

    @staticmethod
    def of(document: Document) -> "Volume":
        body = document.body
        return Volume(
            document.key,
            body["collection"],
            body["first"],
            body["last"],
            body["hash"],
            document.revision,
            volumes.from_body(body),
        )

    def to_body(self) -> Body:
        about = {
            "collection": self.collection,
            "first": self.first,
            "last": self.last,
            "hash": self.hash,
        }
        return {**about, **volumes.to_body(self.contents)}

    def key(self, prefix: str) -> str:
        """The object's key in the bucket."""
        return f"{folder_of(prefix, self.collection)}{self.object}.volume"


# What is wanted, and what was fetched


@dataclass(frozen=True, slots=True)
class OneWanted:
    """One document of a volume."""

    volume: Volume
    key: str

    def fetch(self, read: volumes.Read) -> list[Archived]:
        found = volumes.find(self.volume.contents, read, self.key)
        return [] if found is None else [found]


@dataclass(frozen=True, slots=True)
class PageWanted:
    """A page of one list in a volume."""

    volume: Volume
    values: tuple[Value, ...]
    after: str | None
    descending: bool
    limit: int

    def fetch(self, read: volumes.Read) -> list[Archived]:
        return volumes.page(
            self.volume.contents,
            read,
            self.values,
            after=self.after,
            descending=self.descending,
            limit=self.limit,
        )


Want = OneWanted | PageWanted


class Wanted(errors.Refused):
    """A query or change came to what is archived; without a want, a list has to look through all
    volumes. To the committer it is a refusal as any other.
    """

    def __init__(self, *wants: Want) -> None:
        super().__init__(errors.BUSY, retry_after_seconds=2)
        self.wants = wants


class Fetched:
    """What one call has fetched so far; `walks` once it may look through the volumes' contents,
    which takes some 0.3 ms each.
    """

    def __init__(self) -> None:
        self._found: dict[Want, list[Archived]] = {}
        self._missed: set[Want] = set()
        self.walks = False

    def get(self, want: Want) -> list[Archived] | None:
        """What a volume holds of it; None if it was not fetched."""
        return self._found.get(want)

    def miss(self, wants: Sequence[Want]) -> bool:
        """Note that the volume of one of them is not there; whether that is so once more."""
        again = not self._missed.isdisjoint(wants)
        self._missed.update(wants)
        return again

    def take(self, store: ObjectStore, prefix: str, want: Want) -> None:
        """Fetch it, by at most two reads. Raises StoreError and VolumeDamaged."""
        key = want.volume.key(prefix)
        self._found[want] = want.fetch(lambda start, length: store.get_range(key, start, length))


# Looking up


def volume_for(find: Find, collection: str, key: str) -> Volume | None:
    """The volume in whose stretch a key is."""
    found = find(_BY_FIRST, (collection,), limit=1, after=(key, _LAST), descending=True)
    return Volume.of(found[0].document) if found else None


def first_volume(find: Find, collection: str) -> Volume | None:
    found = find(_BY_FIRST, (collection,), limit=1)
    return Volume.of(found[0].document) if found else None


def volume_behind(find: Find, volume: Volume) -> Volume | None:
    """The one with the next stretch."""
    after = (volume.first, _LAST)
    found = find(_BY_FIRST, (volume.collection,), limit=1, after=after)
    return Volume.of(found[0].document) if found else None


def look_up(find: Find, fetched: Fetched, collection: str, key: str) -> Archived | None:
    """An archived document. Raises Wanted where it has to be fetched first."""
    volume = volume_for(find, collection, key)
    if volume is None or key > volume.last:
        return None
    want = OneWanted(volume, key)
    found = fetched.get(want)
    if found is None:
        raise Wanted(want)
    return found[0] if found else None


def goes_on(catalogue: Catalogue, index: str, equal: tuple[Value, ...]) -> bool:
    """Whether a list continues into the archive."""
    collection, declared = catalogue.indexes[index]
    archive = collection.archive
    return archive is not None and archive.list == index and len(equal) == len(declared.fields)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list that goes on; `values` and the key are all of its order."""

    collection: str
    values: tuple[Value, ...]
    after: Position | None
    descending: bool
    limit: int

    def continued(
        self,
        find: Find,
        fetched: Fetched,
        hot: list[Hit],
        document: Callable[[Archived], Document | None],
    ) -> list[Hit]:
        """The page, of the rows that the replica has and those in volumes.

        `document` gives an archived row as a document, None where the replica has the key itself.
        Raises Wanted.
        """
        rows = {hit.document.key: hit for hit in hot}
        wants: list[Want] = []
        for volume in self._volumes(find, hot):
            if wants and len(wants) == AT_ONCE_MAX:
                break
            if not volume.contents.admits(self.values):
                continue
            want = self._take(volume, fetched, rows, document)
            if want is not None:
                wants.append(want)
            elif not wants and self._known(rows, self._edge(volume)) >= self.limit:
                break
        if wants:
            raise Wanted(*wants)
        ordered = sorted(rows.items(), reverse=self.descending)
        return [hit for _, hit in ordered[: self.limit]]

    def _take(
        self,
        volume: Volume,
        fetched: Fetched,
        rows: dict[str, Hit],
        document: Callable[[Archived], Document | None],
    ) -> Want | None:
        """Add a volume's rows, as many as the page can need; what is missing of them."""
        after = None if self.after is None else str(self.after[-1])
        while True:
            want = PageWanted(volume, self.values, after, self.descending, self.limit)
            found = fetched.get(want)
            if found is None:
                return want
            for each in found:
                made = document(each)
                if made is not None:
                    rows[each.key] = Hit(made, (each.key,))
            # Of a full page some may have been brought back: then there is more behind it.
            if len(found) < self.limit or self._known(rows, found[-1].key) >= self.limit:
                return None
            after = found[-1].key

    def _volumes(self, find: Find, hot: list[Hit]) -> Iterator[Volume]:
        """Those whose stretch may have rows of the page, in the list's order."""
        edge = hot[-1].document.key if len(hot) == self.limit else None
        at = self._begin(find)
        while found := find(
            _BY_FIRST,
            (self.collection,),
            limit=AT_ONCE_MAX,
            after=at,
            descending=self.descending,
        ):
            for hit in found:
                volume = Volume.of(hit.document)
                if edge is not None and self._is_past(volume, edge):
                    return
                if not self._is_before(volume):
                    yield volume
            at = found[-1].position

    def _begin(self, find: Find) -> Position | None:
        if self.after is None:
            return None
        if self.descending:
            return (self.after[-1], _LAST)
        around = volume_for(find, self.collection, str(self.after[-1]))
        return None if around is None else (around.first, "")

    def _is_past(self, volume: Volume, edge: str) -> bool:
        return volume.last < edge if self.descending else volume.first > edge

    def _is_before(self, volume: Volume) -> bool:
        return not self.descending and self.after is not None and volume.last <= str(self.after[-1])

    def _edge(self, volume: Volume) -> str:
        """The key up to which, in the list's order, a volume's rows are all known."""
        return volume.first if self.descending else volume.last

    def _known(self, rows: dict[str, Hit], edge: str) -> int:
        if self.descending:
            return sum(key >= edge for key in rows)
        return sum(key <= edge for key in rows)


def list_values(catalogue: Catalogue, collection: Collection, body: Body) -> tuple[Value, ...]:
    """A document's values in the list that goes on into the archive; none if it is not in it."""
    if collection.archive is None or not collection.archive.list:
        return ()
    _, index = catalogue.indexes[collection.archive.list]
    values = [member(body, path) for path in index.fields]
    return tuple(values) if all(type(each) in (str, int) for each in values) else ()


# For who looks at all of it


def named_volumes(reader: Reader) -> Iterator[Volume]:
    """Every volume that a state names."""
    for collection, key, revision, _, body in reader.dump():
        if collection == VOLUMES:
            yield Volume.of(Document(collection, key, revision, orjson.loads(body)))


def read_volume(store: ObjectStore, prefix: str, volume: Volume) -> list[Archived]:
    """All the documents of a volume, its copies of what was brought back among them.

    Raises StoreError and VolumeDamaged.
    """
    stored = store.get(volume.key(prefix))
    if digest(stored) != volume.hash:
        raise VolumeDamaged("is not what it was: its hash is another")
    return volumes.all_of(volume.contents, stored)
