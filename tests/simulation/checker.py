"""The judge: what the journal holds and what clients were told, against the model.

The journal names the order in which operations were carried out. That order is accepted as the
linearization, if it is one: the model, run in it, has to give every answer that was given and
every document that was written, and every operation has to lie between the moment it was asked for
and the moment it was answered. A refusal or a read leaves nothing in the journal; some state in
that interval has to give it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

import orjson

from shared.storage.entry import Entry, UnreadableEntry, decode, digest
from tests.simulation.history import Attempt, History
from tests.simulation.shop import Model, Operation


def check(stored: list[bytes], history: History) -> list[str]:
    """All that is wrong, a sentence each; `stored` are the journal's entries from 1."""
    return _Walk(stored, history).faults


class _Walk:
    def __init__(self, stored: list[bytes], history: History) -> None:
        self.faults: list[str] = []
        self._model = Model()
        self._operations: dict[int, Operation] = {}
        self._answers: dict[int, Attempt] = {}
        self._refusals: defaultdict[int, list[Attempt]] = defaultdict(list)
        self._open_refusals: list[Attempt] = []
        self._readings = defaultdict(list)
        self._entry_of: dict[int, int] = {}
        for attempt in history.attempts:
            self._take(attempt)
        for reading in history.readings:
            self._readings[reading.seq].append(reading)
        self._walk(stored)
        self._check_attempts(history, len(stored))

    def _take(self, attempt: Attempt) -> None:
        number = attempt.operation.number
        self._operations[number] = attempt.operation
        if attempt.outcome == "done":
            first = self._answers.setdefault(number, attempt)
            if first.row != attempt.row:
                self._fault(f"operation {number} was answered {first.row}, then {attempt.row}")
        if attempt.outcome == "refused" and attempt.slug != "closed":
            self._refusals[attempt.floor].append(attempt)

    def _fault(self, what: str) -> None:
        self.faults.append(what)

    # The journal

    def _walk(self, stored: list[bytes]) -> None:
        hash_, time_ms, commits = "", 0, set[str]()
        self._look_at_state(0)
        for seq, body in enumerate(stored, 1):
            try:
                entry = decode(body, seq)
            except UnreadableEntry as error:
                self._fault(f"entry {seq} cannot be read: {error}")
                return
            if entry.prev != hash_:
                self._fault(f"entry {seq} does not follow entry {seq - 1}")
            if entry.time_ms < time_ms:
                self._fault(f"entry {seq} is older than entry {seq - 1}")
            if entry.commit in commits:
                self._fault(f"entry {seq} repeats commit {entry.commit}")
            commits.add(entry.commit)
            hash_, time_ms = digest(body), entry.time_ms
            self._close(seq)
            self._carry_out(entry)
            self._look_at_state(seq)
        for attempt in self._open_refusals + [a for rest in self._refusals.values() for a in rest]:
            self._fault(f"{_named(attempt)} was refused {attempt.slug} in no state of its time")

    def _carry_out(self, entry: Entry) -> None:
        touched: set[tuple[str, str]] = set()
        for event in entry.events:
            number = orjson.loads(event.data)["operation"]
            operation = self._operations.get(number)
            if operation is None:
                self._fault(f"entry {entry.seq}: nobody asked for operation {number}")
                continue
            if number in self._entry_of:
                earlier = self._entry_of[number]
                self._fault(f"operation {number} stands in entry {earlier} and {entry.seq}")
            self._entry_of[number] = entry.seq
            touched |= self._apply(operation, entry.seq)
            self._justify()
        self._compare(entry, touched)

    def _apply(self, operation: Operation, seq: int) -> set[tuple[str, str]]:
        refusal = operation.refusal(self._model)
        if refusal is not None:
            self._fault(f"entry {seq}: {operation} was done where it is {refusal}")
            return set()
        before = dict(self._model.documents)
        row = operation.apply(self._model)
        told = self._answers.get(operation.number)
        if told is not None and told.row != row:
            self._fault(f"{_named(told)} was answered {told.row}; in its place it is {row}")
        after = self._model.documents
        return {
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        }

    def _compare(self, entry: Entry, touched: set[tuple[str, str]]) -> None:
        """The entry's documents are those that its operations leave."""
        written: set[tuple[str, str]] = set()
        for write in entry.writes:
            name = (write.collection, write.key)
            if write.revision >> 16 != entry.seq:
                self._fault(f"entry {entry.seq}: {name} has revision {write.revision}")
            if write.collection == "idempotency":
                continue
            written.add(name)
            body = None if write.body is None else orjson.loads(write.body)
            if body != self._model.get(*name):
                self._fault(
                    f"entry {entry.seq}: {name} is {body}, and should be {self._model.get(*name)}"
                )
        missing = {name for name in touched - written if self._changed_at_last(name, written)}
        if missing:
            self._fault(f"entry {entry.seq} lacks {sorted(missing)}")
        for product in (key for collection, key in written if collection == "stock"):
            stock = self._model.get("stock", product) or {}
            if stock and stock["left"] + stock["sold"] != stock["received"]:
                self._fault(f"entry {entry.seq}: {product} leaks: {stock}")

    def _changed_at_last(self, name: tuple[str, str], written: set[tuple[str, str]]) -> bool:
        # A note written and removed in one entry need not be in it.
        return name[0] != "notes" or self._model.get(*name) is not None

    # States

    def _look_at_state(self, seq: int) -> None:
        """The state after entry `seq`: refusals that may rest on it, and reads that say they do."""
        self._open_refusals += self._refusals.pop(seq, [])
        self._justify()
        for reading in self._readings.pop(seq, []):
            if seq < reading.floor:
                self._fault(
                    f"{reading.look} at {reading.where} ({reading.how}) was answered as of entry "
                    f"{seq}, {reading.floor} had been told before"
                )
            expected = reading.look.answer(self._model)
            if reading.rows != expected:
                self._fault(
                    f"{reading.look} was answered {reading.rows}, entry {seq} is {expected}"
                )

    def _close(self, seq: int) -> None:
        """Entry `seq` comes: what was refused before it was stored has had its states."""
        for attempt in self._open_refusals:
            if attempt.ceiling < seq:
                self._fault(f"{_named(attempt)} was refused {attempt.slug} in no state of its time")
        self._open_refusals = [a for a in self._open_refusals if a.ceiling >= seq]

    def _justify(self) -> None:
        self._open_refusals = [
            attempt
            for attempt in self._open_refusals
            if attempt.operation.refusal(self._model) != attempt.slug
        ]

    # Clients

    def _check_attempts(self, history: History, head: int) -> None:
        for unknown, readings in self._readings.items():
            self._fault(
                f"{readings[0].look} was answered as of entry {unknown}; the last is {head}"
            )
        for attempt in history.attempts:
            seq = self._entry_of.get(attempt.operation.number)
            if attempt.outcome == "done" and seq is None:
                self._fault(f"{_named(attempt)} was acknowledged and is lost")
            elif attempt.outcome == "done" and seq is not None and attempt.seq < seq:
                self._fault(f"{_named(attempt)} was told entry {attempt.seq}, stands in {seq}")
            elif attempt.outcome == "refused" and attempt.final and seq is not None:
                self._fault(f"{_named(attempt)} was refused {attempt.slug}, stands in entry {seq}")
        self._check_order(history.attempts)

    def _check_order(self, attempts: Iterable[Attempt]) -> None:
        """Nothing stands before what had been told when it was first asked for."""
        asked: set[int] = set()
        for attempt in attempts:
            number = attempt.operation.number
            seq = self._entry_of.get(number)
            if number not in asked and seq is not None and seq <= attempt.floor:
                self._fault(
                    f"{_named(attempt)} stands in entry {seq}, and entry {attempt.floor} had been "
                    "told before it was asked for"
                )
            asked.add(number)


def _named(attempt: Attempt) -> str:
    return f"operation {attempt.operation.number} ({attempt.operation}, at {attempt.where})"


def one_of_each(faults: list[str]) -> Counter[str]:
    """How often each kind of fault was found: the sentence without its numbers."""
    return Counter("".join(c for c in fault if not c.isdigit())[:60] for fault in faults)
