"""The outbox: a service's messages and the place up to which its journal was read.

It is a database of its own on the storage engine, `‹service›-notices/`, so that neither the
service's journal nor its committers carry it. Every function here is one transaction.

The law of the outbox: a message is written down in the transaction that moves the cursor past its
event, or in one before; under the event's id, if there is none yet; and the cursor moves only from
where its mover read it. So each event has one message, however many consumers run or die. And once
sent, a message stays sent: it is kept for longer than the cursor ever goes back.

    waiting, due      anyone may claim it: it is not due again until the lease ends
    waiting, not due  leased to a sender, or pausing after a failure
    sent, failed      over; removed when due
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from shared.language import Words
from shared.notices.message import Message
from shared.storage.access import Database, Document, Transaction
from shared.storage.catalogue import Body, Catalogue, Collection, Index
from shared.times import DAY_MS, MINUTE_MS

CATALOGUE = Catalogue(
    Collection("cursors"),
    Collection("messages", indexes=(Index("messages_by_due", ("state", "due_ms")),)),
)

TOLD_WITHIN_MS = 3 * DAY_MS
"""An event that is older when it is read makes no message. So a new outbox does not tell a whole
journal's past, and one that begins again, after a restore, goes back no further than this."""

KEPT_MS = TOLD_WITHIN_MS + DAY_MS
"""How long what was sent or failed is kept: longer than the cursor goes back, so that an event
whose message is over does not get another."""

SENT_WITHIN_MS = TOLD_WITHIN_MS
"""A message that is still waiting so long after it was written down is given up: gateways need not
remember ids for ever."""

PUTS_MAX = 100
"""Messages that one transaction writes; a change has 50 ms of the processor."""

REMOVED_MAX = 100
"""Old messages that one claim removes: many more than it can claim, so they never pile up."""

LEASE_MS = 15_000
"""How long a claimed message is left to its sender: a request ends within 10 s. A lease that ends
too early costs a second request under the same id, and nothing else."""

ATTEMPTS_MAX = 100
"""With the pauses between them, about a day."""

_PAUSE_MS = 5_000
_PAUSE_MS_MAX = 15 * MINUTE_MS

_CURSOR = "journal"


def database_of(service: str) -> str:
    """The name of a service's outbox among the databases of the platform."""
    return f"{service}-notices"


# Following


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last journal entry that was read, and the digest of its bytes."""

    seq: int = 0
    digest: str = ""


def read_cursor(database: Database) -> Cursor | None:
    """Where the outbox stands; None where it is new."""
    return _cursor(database.read(lambda view: view.get("cursors", _CURSOR)).value)


def write_down(
    database: Database, messages: Sequence[Message], stands: Cursor | None, moved: Cursor | None
) -> bool:
    """Write messages, at most PUTS_MAX, and move the cursor where `moved` says to where.

    False, and nothing is written, where the cursor no longer `stands` where the caller read it.
    """

    def change(tx: Transaction) -> bool:
        if _cursor(tx.get("cursors", _CURSOR)) != stands:
            return False
        for message in messages:
            if tx.get("messages", message.id) is None:
                tx.put("messages", message.id, _new(message, tx.now_ms))
        if moved is not None:
            tx.put("cursors", _CURSOR, {"seq": moved.seq, "digest": moved.digest})
        return True

    return database.transact(change).value


def _cursor(found: Document | None) -> Cursor | None:
    return None if found is None else Cursor(found.body["seq"], found.body["digest"])


def _new(message: Message, now_ms: int) -> Body:
    return {
        "recipient": message.recipient,
        "kind": message.kind,
        "zh": message.text.zh,
        "en": message.text.en,
        "state": "waiting",
        "due_ms": now_ms,
        "attempts": 0,
        "until_ms": now_ms + SENT_WITHIN_MS,
    }


# Sending


class Outcome(Enum):
    """What became of an attempt."""

    SENT = "sent"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Lease:
    """A message that the caller is to send, for the so-manieth time."""

    message: Message
    attempt: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was claimed; `failed` are ids that were given up; in `wait_ms` the next one is due."""

    leases: tuple[Lease, ...]
    failed: tuple[str, ...]
    wait_ms: int | None


def claim(database: Database, count: int) -> Claimed:
    """Take up to `count` due messages; remove some old ones."""

    def change(tx: Transaction) -> Claimed:
        due = tx.find("messages_by_due", ("waiting",), until=tx.now_ms, limit=count)
        leases, failed = [], []
        for hit in due:
            lease = _leased(tx, hit.document)
            if lease is None:
                failed.append(hit.document.key)
            else:
                leases.append(lease)
        for state in ("sent", "failed"):
            for hit in tx.find("messages_by_due", (state,), until=tx.now_ms, limit=REMOVED_MAX):
                tx.delete("messages", hit.document.key)
        return Claimed(tuple(leases), tuple(failed), _wait_ms(tx))

    return database.transact(change).value


def _leased(tx: Transaction, found: Document) -> Lease | None:
    body = found.body
    if body["attempts"] >= ATTEMPTS_MAX or tx.now_ms >= body["until_ms"]:
        _finish(tx, found, "failed")
        return None
    body["attempts"] += 1
    body["due_ms"] = tx.now_ms + LEASE_MS
    tx.put("messages", found.key, body)
    text = Words(body["zh"], body["en"])
    message = Message(found.key, body["recipient"], body["kind"], text)
    return Lease(message, body["attempts"])


def _wait_ms(tx: Transaction) -> int | None:
    for hit in tx.find("messages_by_due", ("waiting",), limit=1):
        return max(0, int(hit.document.body["due_ms"]) - tx.now_ms)
    return None


def settle(database: Database, lease: Lease, outcome: Outcome) -> None:
    """Note what became of an attempt. A message that was sent is sent, whoever has it now; of
    anything else an attempt that lost its lease has no say.
    """

    def change(tx: Transaction) -> None:
        found = tx.get("messages", lease.message.id)
        if found is None:
            return
        if outcome is Outcome.SENT:
            _finish(tx, found, "sent")
        elif found.body["state"] == "waiting" and found.body["attempts"] == lease.attempt:
            if outcome is Outcome.REFUSED:
                _finish(tx, found, "failed")
            else:
                body = {**found.body, "due_ms": tx.now_ms + pause_ms(lease.attempt)}
                tx.put("messages", found.key, body)

    database.transact(change)


def _finish(tx: Transaction, found: Document, state: str) -> None:
    tx.put("messages", found.key, {**found.body, "state": state, "due_ms": tx.now_ms + KEPT_MS})


def pause_ms(attempt: int) -> int:
    """How long a message rests after its nth attempt failed."""
    return int(min(_PAUSE_MS << min(attempt - 1, 10), _PAUSE_MS_MAX))
