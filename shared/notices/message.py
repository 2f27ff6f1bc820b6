"""`Message` and `Notifier`: a notice on its way out, and the port by which it leaves the platform.

A notifier may be handed the same message again, in another process and much later: whoever sent it
may have died before writing that down. The message's id is the event's, never used for another, so
a gateway that knows ids sends once; what becomes of a message is never the notifier's to remember.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.language import Words


@dataclass(frozen=True, slots=True)
class Message:
    """What is said to one person about one event.

    `recipient` is the subject as the service stores it; the gateway finds the number that belongs
    to it. Only identity's messages name a number, from the moment of sending on.
    """

    id: str
    recipient: str
    kind: str
    text: Words


class Unsent(Exception):  # noqa: N818 - what it says is that nothing is known to have left
    """A message did not go out, as far as is known; the message says why, and nothing personal.

    `for_good` where the same message would be refused again.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


class Notifier(Protocol):
    """A way to people's phones. Thread-safe."""

    def send(self, message: Message) -> None:
        """Hand a message over; returning means that it was taken. Raises Unsent, within 15 s."""
