"""`Evidence`: what a read may rest on. A proof that is young enough; or, while the store is away,
the last one there was, if the read may (docs/decisions/0130).
"""

import threading

from shared import errors, tracing
from shared.clock import Clock
from shared.storage.access import Freshness
from shared.storage.objects import StoreError
from shared.storage.pending import busy
from shared.storage.proofs import Proof, ProofTimeout, Prover
from shared.storage.pulse import SILENT_SECONDS, Pulse

READERS_WAITING_MAX = 64

OUTAGE_RETRY_SECONDS = 5
"""When whoever was refused because the store is away should come back."""


class Evidence:
    """One process's. Thread-safe."""

    def __init__(self, prover: Prover, pulse: Pulse, clock: Clock) -> None:
        self._prover = prover
        self._pulse = pulse
        self._clock = clock
        self._readers = threading.BoundedSemaphore(READERS_WAITING_MAX)

    def is_store_away(self) -> bool:
        """Whether the store is away, as far as any process of this container knows."""
        if not self._pulse.is_away():
            return False
        # The process that tails may have had an answer meanwhile.
        self._pulse.heard(self._prover.latest().began)
        return self._pulse.is_away()

    def check_store(self) -> None:
        """Raise Refused(BUSY) where whoever needs the store need not try."""
        if self.is_store_away() and self._pulse.refuses():
            raise busy(OUTAGE_RETRY_SECONDS)

    def age(self, arrived: float) -> float | None:
        """While the store is away, how old an answer from the replica may be, in seconds.

        To be asked for before the replica is: what it says, that there is no such thing included,
        tells nobody anything while its age is unknown. Raises Refused(BUSY) then: nothing was
        proven since this container began.
        """
        if not self.is_store_away():
            return None
        began = self._prover.latest().began
        if began == float("-inf"):
            raise busy(OUTAGE_RETRY_SECONDS)
        return arrived - began

    def proven(self) -> int:
        """The entry that the newest proof names."""
        return self._prover.latest().seq

    def at_hand(self, freshness: Freshness, arrived: float) -> int | None:
        """The entry at which a replica will do, where that is known already and nothing has to be
        told of it; else None.
        """
        if freshness.at_least_seq:
            return None if self.is_store_away() else freshness.at_least_seq
        after = arrived - freshness.bound_seconds
        latest = self._prover.latest(after)
        return latest.seq if latest.began >= after else None

    def find(self, freshness: Freshness, arrived: float, deadline: float) -> Proof:
        """A proof as young as asked for; while the store is away, the last one if it will do, which
        `freshness` is told. Raises Refused(BUSY), ProofTimeout, or what the probe raised.
        """
        after = arrived - freshness.bound_seconds
        latest = self._prover.latest(after)
        if latest.began >= after:
            return latest
        earliest = arrived - freshness.outage_seconds
        if not freshness.outage_seconds or latest.began < earliest:
            self.check_store()
            return self.prove(after, deadline)
        # Whoever can do without is never the one that tries, and waits no longer than it takes to
        # see that nothing comes.
        if not self.is_store_away():
            try:
                return self.prove(after, min(deadline, arrived + SILENT_SECONDS), leaves=True)
            except (StoreError, ProofTimeout, errors.Refused):
                latest = self._prover.latest()
        freshness.tell(arrived - latest.began)
        return latest

    def prove(self, after: float, deadline: float, *, leaves: bool = False) -> Proof:
        """As `Prover.prove`, for so many at once. Raises Refused(BUSY) beyond."""
        if not self._readers.acquire(blocking=False):
            raise busy()
        try:
            return tracing.traced(
                "prove", lambda: self._prover.prove(after, deadline, leaves=leaves)
            )
        finally:
            self._readers.release()
