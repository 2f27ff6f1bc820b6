"""Idempotency: one client intent is carried out once, however often it is sent.

For each (caller, route, key) a row stands in the same entry as the effects: the keyed digest of the
request, and a reference to the document that was answered, at its revision. A repetition finds the
row; with another digest it is refused. Only successes leave a row: a refusal changed nothing, and
may end otherwise next time. Rows are kept for 72 hours of entry time and trimmed, a hundred at a
time, by later entries.

No copy of a document is kept here, so nothing personal outlives the document itself.

Rows stand by the time in the client's key where that is a UUIDv7, by a hash of it where it is not
(docs/decisions/0035).
"""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass

from shared import errors
from shared.storage.access import Change, Claim, Document, Hit, Transaction
from shared.storage.catalogue import Catalogue, Collection, Index
from shared.storage.reader import ReadTooLong
from shared.storage.transaction import Answer, Batch, BatchFull, ChangeTooSlow, ReadOnlyView

KEPT_MS = 72 * 3600 * 1000

TRIMMED_MAX = 100

# Of the years 2004 to 2039. Not other digits of a client's: what it writes stays in the journal.
_UUID_7 = re.compile(
    "(01[0-9a-f]{6})-?([0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE
)

_INDEX = "idempotency_by_time"
ROWS = Collection("idempotency", indexes=(Index(_INDEX, ("at_ms",)),))


@dataclass(frozen=True, slots=True)
class Reference:
    """A document as it was at one revision."""

    collection: str
    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Outcome(Answer):
    """What a claimed change came to: its document, or the reference of an earlier answer."""

    document: Document | Reference
    replayed: bool

    def name(self) -> tuple[str, str]:
        return self.document.collection, self.document.key


def with_rows(catalogue: Catalogue) -> Catalogue:
    """The catalogue of a service, with the collection that this module needs."""
    return Catalogue(*catalogue.collections.values(), ROWS)


def once(claim: Claim, change: Change[Document]) -> Change[Outcome]:
    """A change that runs `change` unless `claim` was already answered.

    Raises Refused(KEY_REUSED) where the claim's key was used for another request.
    """
    _, name = row_of(claim)

    def claimed(tx: Transaction) -> Outcome:
        row = tx.get(ROWS.name, name)
        if row is not None:
            return Outcome(_answered(tx, row, claim), replayed=True)
        document = change(tx)
        tx.put(
            ROWS.name,
            name,
            {
                "at_ms": tx.now_ms,
                "digest": claim.digest,
                "collection": document.collection,
                "key": document.key,
                "revision": document.revision,
            },
        )
        return Outcome(document, replayed=False)

    return claimed


def row_of(claim: Claim) -> tuple[str, str]:
    """Collection and key of a claim's row."""
    # Callers are random subject ids already; hashing gives keys of one length and keeps whatever a
    # client wrote into its key out of the journal, but for the time in it.
    parts = f"{claim.caller}\0{claim.route}\0{claim.key}"
    name = hashlib.sha256(parts.encode()).hexdigest()
    timed = _UUID_7.fullmatch(claim.key)
    return ROWS.name, f"{timed[1]}{timed[2]}".lower() + name[:28] if timed else name[:40]


def _answered(tx: Transaction, row: Document, claim: Claim) -> Document | Reference:
    if row.body["digest"] != claim.digest:
        raise errors.Refused(errors.KEY_REUSED)
    said = Reference(row.body["collection"], row.body["key"], row.body["revision"])
    current = tx.get(said.collection, said.key)
    if current is not None and current.revision == said.revision:
        return current
    return said


def trim(batch: Batch) -> None:
    """Let an entry that is written anyway also remove rows that have outlived their time."""
    # No row of this batch can be old enough, so the committed state alone is asked.
    committed = ReadOnlyView(batch.reader)
    # What does not fit into this batch's time is left to the next one.
    with suppress(BatchFull, ChangeTooSlow, ReadTooLong):
        old = committed.find(_INDEX, (), until=batch.now_ms - KEPT_MS, limit=TRIMMED_MAX)
        if old:
            batch.run(lambda tx: _delete(tx, old), bytes_max=1 << 62)


def _delete(tx: Transaction, rows: list[Hit]) -> None:
    for hit in rows:
        tx.delete(ROWS.name, hit.document.key)
