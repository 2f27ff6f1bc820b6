"""`Watched`: an opened database as gauges see it. Nothing here asks the store, nor waits for it."""

import logging
from dataclasses import dataclass

from shared.storage.catalogue import Catalogue
from shared.storage.committer import Committer
from shared.storage.follower import Follower
from shared.storage.proofs import Prover
from shared.storage.reader import ReadTooLong, ReplicaBroken

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a database stands in this container.

    `applied`: the entry of the replica. `known`: the last entry that is known to be in the journal.
    `level_at`: when that was last known to be the head, monotonic; None where the replica is behind
    it. `is_blocked`: an entry cannot be applied.
    """

    applied: int
    known: int
    level_at: float | None
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts that know."""

    follower: Follower
    prover: Prover
    committer: Committer
    catalogue: Catalogue

    @property
    def waiting(self) -> int:
        """Changes of this process that have no answer yet."""
        return self.committer.waiting

    def standing(self) -> Standing | None:
        """None while the replica cannot be read."""
        proof = self.prover.latest()
        try:
            applied = self.follower.replica.head().seq
        except (ReplicaBroken, ReadTooLong):
            return None
        return Standing(
            applied=applied,
            known=max(applied, proof.seq),
            level_at=proof.began if 0 < proof.seq <= applied else None,
            is_blocked=self.follower.trouble is not None,
        )

    def unbalanced(self, seconds: float) -> int | None:
        """In how many documents, at one entry, the books do not balance (`Collection.conserved`);
        None where that cannot be read within so many seconds.
        """
        laws = [c for c in self.catalogue.collections.values() if c.conserved is not None]
        try:
            with self.follower.reading(seconds) as reader:
                return sum(reader.unbalanced(c.name, c.conserved) for c in laws if c.conserved)
        except (ReplicaBroken, ReadTooLong) as error:
            log.warning("the books could not be checked: %s", error)
            return None
