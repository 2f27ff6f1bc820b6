"""The feed: follows a service's journal and writes a message down for each event that makes one.

It reads the journal's objects and nothing else of the service: no replica, no request to a process
of it. A crash anywhere makes it read some entries again, and changes nothing else (see `outbox`).

The chain of hashes is followed along. After a restore the journal may be another than the one that
was read: where the outbox's cursor is not an entry of this journal, reading begins again at the
first entry that is young enough to be told of, and messages that stand already are passed over.
"""

import logging
from collections.abc import Iterator, Sequence

from shared.clock import Clock
from shared.notices import outbox
from shared.notices.mapping import Notices, messages_of
from shared.notices.message import Message
from shared.notices.outbox import PUTS_MAX, TOLD_WITHIN_MS, Cursor
from shared.storage.access import Database
from shared.storage.catalogue import Catalogue
from shared.storage.entry import Entry, UnreadableEntry, decode, digest
from shared.storage.journal import Journal

log = logging.getLogger(__name__)

ENTRIES_MAX = 32
"""Entries of one step."""

BEHIND_MAX = 256
"""Entries without a message by which the stored cursor lags: moving it costs an entry itself."""


class Feed:
    """From one journal to one outbox. Used by one thread."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        notices: Notices,
        catalogue: Catalogue,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._database = database
        self._notices = notices
        self._catalogue = catalogue
        self._clock = clock
        self._stored: Cursor | None = None
        self._at: Cursor | None = None
        self._head = 0

    def step(self) -> int:
        """Read on from where the last step ended; how many entries there were.

        Raises CannotTell, UnreadableEntry, JournalGap, StoreError and Refused. The next step then
        begins at the stored cursor again: no entry is ever skipped.
        """
        try:
            at = self._open() if self._at is None else self._at
            stored = self._read(at)
            self._at = self._take(at, stored) if stored else at
        except BaseException:
            self._at = None
            raise
        return len(stored)

    def _open(self) -> Cursor:
        self._stored = outbox.read_cursor(self._database)
        if self._stored is not None and self._is_here(self._stored):
            return self._stored
        at = self._beginning()
        stood = "is new" if self._stored is None else f"stood at {self._stored} of another journal"
        log.info("the journal is read from entry %d on: the outbox %s", at.seq + 1, stood)
        return at

    def _is_here(self, cursor: Cursor) -> bool:
        if cursor.seq == 0:
            return True
        stored = self._journal.read(cursor.seq)
        return stored is not None and digest(stored) == cursor.digest

    def _beginning(self) -> Cursor:
        """The last entry that is too old to be told of: entry times never go back."""
        young_ms = self._young_ms()
        old, head = 0, self._journal.head_from(0)
        while old < head:
            middle = (old + head + 1) // 2
            [stored] = self._journal.read_range(middle, middle)
            if decode(stored, middle).time_ms < young_ms:
                old = middle
            else:
                head = middle - 1
        if old == 0:
            return Cursor()
        [stored] = self._journal.read_range(old, old)
        return Cursor(old, digest(stored))

    def _young_ms(self) -> int:
        return self._clock.now_ms() - TOLD_WITHIN_MS

    def _read(self, at: Cursor) -> list[bytes]:
        """The next entries, in one request where there are none."""
        first = self._journal.read(at.seq + 1)
        if first is None:
            return []
        if self._head < at.seq + 2:
            self._head = self._journal.head_from(at.seq + 1)
        last = min(self._head, at.seq + ENTRIES_MAX)
        if last < at.seq + 2:
            return [first]
        return [first, *self._journal.read_range(at.seq + 2, last)]

    def _take(self, at: Cursor, stored: Sequence[bytes]) -> Cursor | None:
        """Write down what these entries make; where it stands then, None where somebody else has
        been there.
        """
        moved = Cursor(at.seq + len(stored), digest(stored[-1]))
        messages = [message for entry in _chained(at, stored) for message in self._told(entry)]
        behind = moved.seq - (self._stored.seq if self._stored else 0)
        if not messages and behind < BEHIND_MAX:
            return moved
        for start in range(0, max(len(messages), 1), PUTS_MAX):
            part = messages[start : start + PUTS_MAX]
            is_last = start + PUTS_MAX >= len(messages)
            goes = moved if is_last else None
            if not outbox.write_down(self._database, part, self._stored, goes):
                return None
        self._stored = moved
        return moved

    def _told(self, entry: Entry) -> list[Message]:
        messages = messages_of(entry, self._notices, self._catalogue)
        if messages and entry.time_ms < self._young_ms():
            log.warning("entry %d is too old: %d messages unsaid", entry.seq, len(messages))
            return []
        return messages


def _chained(at: Cursor, stored: Sequence[bytes]) -> Iterator[Entry]:
    """Entries behind `at`. Raises UnreadableEntry where one does not follow the one before it."""
    before = at.digest
    for seq, content in enumerate(stored, at.seq + 1):
        entry = decode(content, seq)
        if entry.prev != before:
            raise UnreadableEntry(f"journal entry {seq} does not follow the entry that was read")
        before = digest(content)
        yield entry
