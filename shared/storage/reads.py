"""`Reads`: answers from a replica that is proven to hold what the caller may count on.

A read needs a proof of the head that is young enough (`evidence.py`) and a replica that stands
there. Where the replica is broken, another takes its place and is asked; where it stands before the
proof, which was of one that is no more, it comes level first.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from shared import tracing, waiting
from shared.clock import Clock
from shared.storage.access import FRESH, Committed, Document, Freshness
from shared.storage.archive import Fetched
from shared.storage.evidence import Evidence
from shared.storage.fetcher import Fetcher
from shared.storage.follower import Follower, JournalTrouble
from shared.storage.journal import JournalGap
from shared.storage.looks import Look, glancing_at, looking, looking_at
from shared.storage.objects import StoreError
from shared.storage.pending import busy
from shared.storage.proofs import ProofTimeout
from shared.storage.reader import ReadTooLong, ReplicaBroken
from shared.storage.transaction import ReadOnlyView

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long a read waits for its proof before it is refused as BUSY."""

UNAVAILABLE = (
    StoreError,
    JournalTrouble,
    JournalGap,
    ProofTimeout,
    ReadTooLong,
    ReplicaBroken,
)


def probe(follower: Follower) -> int:
    """As `Follower.probe`, on another replica if this one turns out to be broken."""
    used = follower.replica
    try:
        return follower.probe()
    except ReplicaBroken as error:
        log.warning("the replica is replaced: %s", error)
        follower.renew(used)
        return follower.probe()


class Reads:
    """One process's reads of one database. Thread-safe."""

    def __init__(
        self, follower: Follower, evidence: Evidence, fetcher: Fetcher, clock: Clock
    ) -> None:
        self._follower = follower
        self._evidence = evidence
        self._fetcher = fetcher
        self._clock = clock

    def read(self, query: Callable[[ReadOnlyView], T], freshness: Freshness) -> Committed[T]:
        """As `access.Database.read`."""
        return self._look(lambda fetched: looking(query, fetched), freshness)

    def read_one(self, collection: str, key: str, freshness: Freshness) -> Committed[Document]:
        """As `access.Database.read_one`."""
        try:
            found = self._at_hand(collection, key, freshness)
        except UNAVAILABLE as error:
            raise busy() from error
        if found is not None:
            return found
        return self._look(lambda fetched: looking_at(collection, key, fetched), freshness)

    def _at_hand(
        self, collection: str, key: str, freshness: Freshness
    ) -> Committed[Document] | None:
        """What most reads of one document come to, at half the cost: a proof is there, so is the
        document, and nobody looks at the request. None where anything is different.
        """
        if tracing.is_looked_at():
            return None
        seq = self._evidence.at_hand(freshness, self._clock.monotonic())
        return None if seq is None else self.at(glancing_at(collection, key), seq)

    def _look(self, how: Callable[[Fetched], Look[T]], freshness: Freshness) -> Committed[T]:
        arrived = self._clock.monotonic()

        def work(fetched: Fetched) -> Committed[T]:
            return self._as_asked(how(fetched), freshness, arrived)

        try:
            return tracing.traced("read", lambda: self._fetcher.run(work))
        except UNAVAILABLE as error:
            raise busy() from error

    def _as_asked(self, look: Look[T], freshness: Freshness, arrived: float) -> Committed[T]:
        if freshness.at_least_seq:
            age = self._evidence.age(arrived)
            answer = self._aged_look(look, freshness.at_least_seq, is_aged=age is not None)
            if answer is not None:
                if age is not None:
                    freshness.tell(age)
                return answer
            # An older proof would not do: it may be from before that entry.
            return self._proven(look, arrived, FRESH)
        return self._proven(look, arrived, freshness)

    def _aged_look(self, look: Look[T], seq: int, *, is_aged: bool) -> Committed[T] | None:
        # What is told its age has to stand where its proof does: a turn may hold an older state.
        proven = self._evidence.proven() if is_aged else seq
        found = self.at(look, proven) if proven > seq else None
        return self.at(look, seq) if found is None else found

    def _proven(self, look: Look[T], arrived: float, freshness: Freshness) -> Committed[T]:
        deadline = arrived + PATIENCE_SECONDS
        while self._clock.monotonic() < deadline:
            proof = self._evidence.find(freshness, arrived, deadline)
            answer = self.at(look, proof.seq)
            if answer is not None:
                return answer
            # The proof is older than this container's replica, which was replaced or fell behind.
            waiting.apart(lambda: probe(self._follower))
        raise busy()

    def at(self, look: Look[T], seq: int) -> Committed[T] | None:
        """What the replica says if it stands at `seq` or further."""
        used = self._follower.replica
        try:
            return look(used, seq)
        except ReplicaBroken as error:
            log.warning("the replica is replaced: %s", error)
            self._follower.renew(used)
            return None

    def as_it_is(self, query: Callable[[ReadOnlyView], T]) -> T:
        """What the replica has, proven or not; nothing of the archive."""
        found = self.at(looking(query), 0)
        if found is None:
            raise busy()
        return found.value
