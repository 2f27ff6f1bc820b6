"""Group commit: one thread a process turns the changes that wait into one entry, again and again.

Each round it takes its turn among the container's processes, and among the containers that write,
takes all that wait, runs the changes on the replica's state, offers one entry to the journal, and
answers everyone:

- stored: the entry is applied from its bytes, and all are told; that stays success even if the
  local replica fails;
- lost to another writer: the winner's entry is applied and the whole batch runs again, on a state
  that holds it;
- undecided: all are refused with BUSY; their retries, with their idempotency keys, get the truth;
- nothing to write (sold out, not found, already done): a refusal is a decision too, and rests on a
  proof of the head that began after the changes were queued. If the head moved, they run again.
  Where only the hour keeps from writing what the state allows (closed), an empty entry is the
  proof: it takes the place that an earlier attempt, given up but still on its way, could else come
  to hold.

An entry n+1 is never begun before n is decided.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shared import errors
from shared.clock import Clock, new_id
from shared.storage import refusals
from shared.storage.access import Change, Committed
from shared.storage.entry import Entry, encode
from shared.storage.follower import Follower, JournalTrouble
from shared.storage.journal import Journal, JournalGap, Lost, Undecided
from shared.storage.objects import StoreError
from shared.storage.pending import Pending, busy, concerning
from shared.storage.proofs import Proof, ProofTimeout
from shared.storage.reader import ReadTooLong, ReplicaBroken
from shared.storage.replica import Replica
from shared.storage.rounds import Rounds
from shared.storage.telemetry import SILENT, Outcome, Telemetry, attempt, joined, taken_up
from shared.storage.transaction import Batch, BatchFull
from shared.tracing import Span

log = logging.getLogger(__name__)

T = TypeVar("T")

_EARLY = 0.9
"""Of an entry's time: whoever is next looks some ten times while the one before it writes."""

_PATIENCE = 5
"""Times of an entry of one's own that each container ahead is given. On a busy machine its entry
takes longer: with two, four containers on two cores wrote past each other."""

YIELD_SECONDS_MAX = 0.5
"""A sick store's average must not become a pause of its own."""

CLOCK_SKEW_MS_MAX = 30_000
"""A writer further than this from the store's clock does not write: entry times never go back, so
one fast clock would expire every hold for good."""

CLOCK_JUMP_MS_MAX = 5_000

BATCH_SECONDS = 1.0
"""A batch that has run for so long takes in no more changes; those behind go into the next."""

_UNAVAILABLE = (
    StoreError,
    Undecided,
    JournalTrouble,
    JournalGap,
    ProofTimeout,
    ReadTooLong,
    ReplicaBroken,
)


_STORE_FAILED = (StoreError, Undecided, ProofTimeout)


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """Bounds of committing; `docs/settings.md` says which are settings."""

    changes_max: int = 256
    entry_bytes_max: int = 4 << 20
    waiting_max: int = 64
    patience_seconds: float = 12.0
    round_seconds: float = 20.0


class Turns(Protocol):
    """What the committer needs of a turnstile."""

    def turn(self) -> AbstractContextManager[bool]: ...


class Proofs(Protocol):
    """What the committer needs of a prover."""

    def note(self, proof: Proof) -> None: ...

    def prove(self, after: float, deadline: float) -> Proof: ...


@dataclass(slots=True)
class CommitFigures:
    """Counts since the process began, for the operator and the benchmarks."""

    rounds: int = 0
    entries: int = 0
    changes: int = 0
    lost: int = 0
    shed: int = 0
    put_seconds: float = 0.0
    slowest_put_seconds: float = 0.0


class Committer:
    """One process's committing thread. It starts with the first change, so after fork."""

    def __init__(
        self,
        *,
        journal: Journal,
        follower: Follower,
        turns: Turns,
        proofs: Proofs,
        clock: Clock,
        writer: str,
        skew_ms: Callable[[], int | None],
        tidy: Callable[[Batch], None],
        limits: CommitLimits,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._journal = journal
        self._follower = follower
        self._turns = turns
        self._proofs = proofs
        self._clock = clock
        self._writer = writer
        self._skew_ms = skew_ms
        self._tidy = tidy
        self._limits = limits
        self._telemetry = telemetry
        self._queue: deque[Pending[Any]] = deque()
        self._wake = threading.Condition()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._entry_seconds = 0.02
        self._ahead_ms = self._wall_ahead_ms()
        self.figures = CommitFigures()
        self.rounds = Rounds(clock)

    # Callers

    def commit(self, change: Change[T], first: tuple[str, str] | None = None) -> Committed[T]:
        """Have `change` committed. Raises its exception, or Refused(BUSY)."""
        pending = self._enqueue(change, first)
        try:
            return pending.result(self._limits.patience_seconds, self.rounds.are_held_up)
        finally:
            if pending.maybe_span is not None:
                pending.maybe_span.failed = pending.error is not None or pending.abandoned
                pending.maybe_span.end()
            with self._wake:
                self._waiting -= 1

    @property
    def waiting(self) -> int:
        """Changes that have no answer yet."""
        return self._waiting

    def _enqueue(self, change: Change[T], first: tuple[str, str] | None = None) -> Pending[T]:
        pending = Pending(change, self._clock.monotonic(), first)
        held_up = self.rounds.are_held_up()
        with self._wake:
            if held_up or self._closed or self._waiting >= self._limits.waiting_max:
                self.figures.shed += 1
                raise busy()
            if self._thread is None:
                self._thread = self._begun()
            self._waiting += 1
            self._queue.append(pending)
            self._wake.notify()
        return pending

    def _begun(self) -> threading.Thread:
        thread = threading.Thread(target=self._loop, name="committer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread is to be had
            self.figures.shed += 1
            raise busy() from error
        return thread

    def has_ended(self) -> bool:
        """Whether the committing thread has ended, though nobody told it to."""
        thread = self._thread
        return thread is not None and not self._closed and not thread.is_alive()

    def close(self) -> None:
        """Finish the round under way and those that wait, then stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    # The committing thread

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    if self._closed:
                        return
                    self._wake.wait()
            try:
                with self._turns.turn():
                    self._round(self._take(self._limits.changes_max))
            except BaseException:  # even of a change that raises SystemExit
                log.exception("a commit round failed")

    def _take(self, most: int) -> list[Pending[Any]]:
        """All that wait, oldest first, but at most so many."""
        taken: list[Pending[Any]] = []
        with self._wake:
            while self._queue and len(taken) < most:
                taken.append(self._queue.popleft())
                taken[-1].taken = True
        return taken

    def _round(self, pendings: list[Pending[Any]]) -> None:
        """Bring every one of `pendings` to an answer."""
        deadline = self._clock.monotonic() + self._limits.round_seconds
        self.figures.rounds += 1
        trouble, by_store = "not decided in time", False
        is_open = True
        try:
            while pendings and self._clock.monotonic() < deadline:
                used = self._follower.replica
                try:
                    pendings = self._attempt(pendings, deadline, is_open=is_open)
                except ReplicaBroken as error:
                    self._renew(used, error)
                # Else a round might never end: a proof of the head has to be younger than they.
                is_open = False
        except _UNAVAILABLE as error:
            self._telemetry.commit("undecided" if isinstance(error, Undecided) else "refused")
            log.warning("commit refused: %s", error, extra=concerning(pendings))
            trouble = error.told() if isinstance(error, StoreError) else str(error)
            by_store = isinstance(error, _STORE_FAILED)
        except Exception as error:
            self._telemetry.commit("refused")
            log.exception("commit failed", extra=concerning(pendings))
            trouble = repr(error)
        finally:
            self.rounds.end(trouble if pendings else "", by_store=by_store)
        for pending in pendings:
            pending.refuse(busy())

    def _renew(self, broken: Replica, error: ReplicaBroken) -> None:
        log.warning("the replica is replaced: %s", error)
        self._follower.renew(broken)

    def _attempt(
        self, pendings: list[Pending[Any]], deadline: float, *, is_open: bool
    ) -> list[Pending[Any]]:
        """Try once, with those who come before it is run, if it `is_open`; those that still need an
        answer come back.
        """
        began = self._clock.monotonic()
        taken_up(pendings, began, self._telemetry)
        self.rounds.begin()
        with attempt(pendings, began) as span:
            if self._follower.rivals.write():
                self._await_turn()
                if is_open:
                    self._take_along(pendings, span)
            elif self._follower.trouble is not None:
                self._follower.probe()
            return self._try(pendings, deadline, span)

    def _take_along(self, pendings: list[Pending[Any]], span: Span | None) -> None:
        """Add who came meanwhile: where containers take turns, the next one is as many entries away
        as there are containers.
        """
        more = self._take(self._limits.changes_max - len(pendings))
        taken_up(more, self._clock.monotonic(), self._telemetry)
        if span is not None:
            joined(span, more)
        pendings += more

    def _try(
        self, pendings: list[Pending[Any]], deadline: float, span: Span | None
    ) -> list[Pending[Any]]:
        began = self._clock.monotonic()
        with self._follower.reading() as reader:
            head = reader.head
            # Whoever gave up may hear from another container that this state refuses it. It must
            # not be done on a later one; so it is left out, once the state is fixed.
            pendings = [pending for pending in pendings if not pending.abandoned]
            if not pendings:
                return []
            batch = Batch(reader, self._clock, self._clock.now_ms())
            fitting = self._run_all(batch, pendings)
            written = bool(batch.layer.writes or batch.layer.events)
            if written:
                self._tidy(batch)
            fenced = not written and refusals.hang_on_time(
                reader, self._clock, pendings[:fitting], self._limits.entry_bytes_max
            )
        if not written and not fenced:
            undecided = self._decide_unwritten(pendings[:fitting], head.seq, deadline)
            return undecided + pendings[fitting:]
        self._check_clock()
        entry = Entry(
            seq=batch.seq,
            commit=new_id("commit", batch.now_ms, self._clock.random(10)),
            writer=self._writer,
            prev=head.hash,
            time_ms=batch.now_ms,
            writes=tuple(batch.layer.writes.values()),
            events=tuple(batch.layer.events),
        )
        stored = self._store(entry)
        self._told(span, batch.seq, fitting, stored=stored)
        if not stored:
            return pendings
        self.rounds.decided()
        for pending in pendings[:fitting]:
            self._answer(pending, batch.seq)
        self._entry_seconds += (self._clock.monotonic() - began - self._entry_seconds) / 8
        self.figures.changes += fitting
        return pendings[fitting:]

    def _told(self, span: Span | None, seq: int, changes: int, *, stored: bool) -> None:
        """Tell whoever observes what became of an entry."""
        outcome: Outcome = "applied" if stored else "lost_race"
        self._telemetry.commit(outcome)
        if stored:
            self._telemetry.batch(changes)
        if span is not None:
            span.attributes.update({"gansu.entry": seq, "gansu.outcome": outcome})

    def _await_turn(self) -> None:
        """Come level with the other containers, and let those go first that wrote longer ago.

        One GET is cheaper than a batch run for a place that is taken; and who stands some entries
        behind would lose once for each of them, and never come level.
        """
        rivals = self._follower.rivals
        last = self._clock.monotonic() + YIELD_SECONDS_MAX
        self._follower.probe()
        while ahead := rivals.ahead():
            # Since the latest entry: who has nothing to write does not hold up the others.
            until = min(last, rivals.seen_at + ahead * _PATIENCE * self._entry_seconds)
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            self._clock.sleep(min((ahead - _EARLY) * self._entry_seconds, left))
            self._follower.probe()

    def _run_all(self, batch: Batch, pendings: list[Pending[Any]]) -> int:
        """Run changes into the batch; how many of them got in."""
        batch.reader.expect([pending.first for pending in pendings if pending.first is not None])
        until = self._clock.monotonic() + BATCH_SECONDS
        for count, pending in enumerate(pendings):
            if count and self._clock.monotonic() > until:
                return count
            batch.asked_time = False
            try:
                pending.value, pending.error = refusals.run(
                    batch, pending.change, self._limits.entry_bytes_max
                )
            except BatchFull as full:
                if count:
                    return count
                pending.error = errors.Refused(errors.TOO_LARGE, detail={"bytes": full.bytes})
            pending.asked_time = batch.asked_time
        return len(pendings)

    def _decide_unwritten(
        self, pendings: list[Pending[Any]], seq: int, deadline: float
    ) -> list[Pending[Any]]:
        """Answer a batch that writes nothing, if its state held all that was acknowledged before.

        A state beyond the proof's is as good: another process applied an entry meanwhile.
        """
        queued = max(pending.queued for pending in pendings)
        if self._proofs.prove(queued, deadline).seq > seq:
            return pendings
        self.rounds.decided()
        for pending in pendings:
            self._answer(pending, seq)
        return []

    def _answer(self, pending: Pending[Any], seq: int) -> None:
        if pending.error is None:
            pending.answer(seq)
        else:
            pending.refuse(pending.error)

    def troubles(self) -> list[str]:
        """What keeps this process from writing."""
        skew = self._skew_ms()
        if skew is None or abs(skew) <= CLOCK_SKEW_MS_MAX:
            return []
        off = f"this machine's clock is {-skew / 1000:+.0f} s off the object store's"
        return [f"{off}; nothing is written until they agree: set the clock"]

    def _check_clock(self) -> None:
        # What is known of the store's clock is as of its latest answer. A machine that was frozen,
        # or whose clock was set since, has to hear another one.
        ahead_ms = self._wall_ahead_ms()
        if abs(ahead_ms - self._ahead_ms) > CLOCK_JUMP_MS_MAX:
            self._follower.probe()
            self._ahead_ms = ahead_ms
        for trouble in self.troubles():
            raise JournalTrouble(trouble)

    def _wall_ahead_ms(self) -> float:
        """Wall time less monotonic time: it changes when the machine's clock is set."""
        return self._clock.now_ms() - self._clock.monotonic() * 1000

    def _store(self, entry: Entry) -> bool:
        """Offer an entry; False if another writer's was there first and has been applied."""
        stored = encode(entry)
        began = self._clock.monotonic()
        with self._follower.naming_trouble():
            outcome = self._journal.append(entry.seq, stored, entry.commit)
        if isinstance(outcome, Lost):
            self.figures.lost += 1
            self._follower.advance(entry.seq, outcome.winner)
            return False
        self._count(self._clock.monotonic() - began)
        try:
            self._follower.advance_own(entry, stored)
            self._proofs.note(Proof(entry.seq, began))
        except Exception as error:  # noqa: BLE001 - no local failure can undo it
            # It is stored, so it is done; the next reader or round replaces the replica.
            log.warning("entry %d is stored but not yet applied here: %r", entry.seq, error)
        return True

    def _count(self, seconds: float) -> None:
        figures = self.figures
        figures.entries += 1
        figures.put_seconds += seconds
        figures.slowest_put_seconds = max(figures.slowest_put_seconds, seconds)
