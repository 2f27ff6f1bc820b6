"""The journal: entries 1, 2, 3 … under one prefix of a bucket, each stored once, by create.

What this module guarantees to the engine:

- `append` answers only what it has *seen*: the entry is stored (`Stored`), or another one holds the
  place (`Lost`), or neither could be learned within the bounds (`Undecided`, which is an exception,
  because the entry may yet appear). The SDK never retries; after any answer but success, the place
  is read: one's own commit id there means stored.
- Entry n is created only by a writer that has seen entry n-1, so entries have no gap; a listing
  that shows one (`JournalGap`) means that something outside this engine removed an entry, and
  writing stops.
- Nothing here overwrites or deletes.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.clock import Clock
from shared.storage import entry as entries
from shared.storage.objects import Absent, Denied, Misconfigured, ObjectStore, StoreError

ATTEMPTS_MAX = 3
"""How often the same bytes are offered to the same key before the outcome is left undecided."""

PAUSE_SECONDS = 0.05
"""Between attempts: long enough for a store's hiccup, short beside a caller's patience."""

PARALLEL_READS = 8


class Undecided(Exception):  # noqa: N818
    """Whether the entry is, or will be, stored could not be learned in the time allowed."""


class JournalGap(Exception):  # noqa: N818
    """An entry is missing though later ones exist; the message names it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The entry is durable at its place."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another writer's entry holds the place; these are its stored bytes."""

    winner: bytes


class Journal:
    """The entries under `‹prefix›journal/` of one store. Thread-safe."""

    def __init__(self, store: ObjectStore, prefix: str, clock: Clock) -> None:
        self._store = store
        self._prefix = f"{prefix}journal/"
        self._clock = clock

    def key(self, seq: int) -> str:
        return f"{self._prefix}{seq:020d}.json"

    def read(self, seq: int) -> bytes | None:
        """The stored bytes of an entry; None only where the store said that there is none."""
        try:
            return self._store.get(self.key(seq))
        except Absent:
            return None

    def append(self, seq: int, stored: bytes, commit: str) -> Stored | Lost:
        """Offer `stored` as entry `seq`, whose commit id is `commit`.

        Raises Undecided, and Denied or Misconfigured where the store will not have this writer.
        """
        failure: StoreError | None = None
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self._clock.sleep(PAUSE_SECONDS)
            try:
                self._store.create(self.key(seq), stored)
            except (Denied, Misconfigured):
                raise
            except StoreError as error:
                failure = error
            else:
                return Stored()
            decided = self._who_holds(seq, commit)
            if decided is not None:
                return decided
        raise Undecided(f"entry {seq} is not decided after {ATTEMPTS_MAX} attempts: {failure!r}")

    def _who_holds(self, seq: int, commit: str) -> Stored | Lost | None:
        try:
            found = self.read(seq)
        except (Denied, Misconfigured):
            raise
        except StoreError:
            return None
        if found is None:
            return None
        if entries.decode(found, seq).commit == commit:
            return Stored()
        return Lost(found)

    def head_from(self, seq: int) -> int:
        """The last entry, given that entry `seq` exists (0: none need exist).

        Raises JournalGap if the listing shows a key beyond a missing one.
        """
        while True:
            page = self._store.list(self._prefix, after=self.key(seq))
            for info in page:
                if info.key != self.key(seq + 1):
                    raise JournalGap(
                        f"journal entry {seq + 1} is missing, yet {info.key} exists; "
                        "restore the missing object from a backup of the bucket"
                    )
                seq += 1
            if not page:
                return seq

    def read_range(self, first: int, last: int) -> Iterator[bytes]:
        """Entries `first` to `last` in order, fetched several at a time.

        Raises JournalGap if one of them is not there.
        """
        if first == last:
            yield self._present(first)
            return
        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="journal") as pool:
            for start in range(first, last + 1, PARALLEL_READS * 4):
                stop = min(start + PARALLEL_READS * 4, last + 1)
                yield from pool.map(self._present, range(start, stop))

    def _present(self, seq: int) -> bytes:
        found = self.read(seq)
        if found is None:
            raise JournalGap(f"journal entry {seq} is missing, yet a later one was seen")
        return found
