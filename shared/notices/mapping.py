"""From what a journal entry says to messages: the words that services' `notices.py` are written in.

    NOTICES: Notices = {"order.placed": _order_placed, "order.cancelled": silent}

A service lists every kind of event that it emits, those that concern nobody as `silent`. The words
for a person are made of the event and of documents *in the same entry*: whoever emits an event
writes the document that it is about in the same transaction, and a journal entry has each document
as that entry leaves it. So nothing is read but the journal, and an old event makes the same words
again.

What may stand in words: that something happened, and when. No name, no id, no place and no price:
an SMS is read by whoever holds the phone. Pure Python.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from shared.language import Words
from shared.notices.message import Message
from shared.storage.catalogue import Body, Catalogue
from shared.storage.entry import Entry, Write, body_of
from shared.times import day_of, minute_of


class CannotTell(Exception):  # noqa: N818 - a verdict
    """An event that this release cannot make into words; the message names entry and event."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, and what its entry wrote."""

    data: Body
    writes: Mapping[tuple[str, str], Write]
    catalogue: Catalogue

    def document(self, collection: str, key: str) -> Body:
        """A document as the entry leaves it, upgraded. Raises KeyError where it wrote none."""
        write = self.writes[collection, key]
        if write.body is None:
            raise KeyError(f"{collection}/{key} is deleted")
        return self.catalogue.collections[collection].upgrade(body_of(write), write.version)


@dataclass(frozen=True, slots=True)
class Notice:
    """Whom to tell (a subject), and what."""

    recipient: str
    text: Words


Tell = Callable[[Happening], Notice | None]
Notices = Mapping[str, Tell]
"""What is said of each kind of event."""


def silent(_: Happening) -> None:
    """Nobody has to be told."""
    return


def messages_of(entry: Entry, notices: Notices, catalogue: Catalogue) -> list[Message]:
    """The messages of an entry, in order. Raises CannotTell."""
    if not entry.events:
        return []
    writes = {(write.collection, write.key): write for write in entry.writes}
    messages = []
    for event in entry.events:
        try:
            happening = Happening(orjson.loads(event.data), writes, catalogue)
            notice = notices[event.kind](happening)
        except (KeyError, TypeError, ValueError) as error:
            raise CannotTell(
                f"nobody can be told of {event.kind} ({event.id}) in journal entry {entry.seq}:"
                f" {error!r}; if a newer release wrote it, upgrade this notifier"
            ) from error
        if notice is not None:
            messages.append(Message(event.id, notice.recipient, event.kind, notice.text))
    return messages


def moment(now_ms: int) -> Words:
    """A time in Gansu as people say it, without its year."""
    day, minute = day_of(now_ms), minute_of(now_ms)
    clock = f"{minute // 60:02d}:{minute % 60:02d}"
    return Words(f"{day.month}月{day.day}日{clock}", f"{day.day} {day:%B} at {clock}")
