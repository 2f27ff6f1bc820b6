"""The feeder: lets search hear of what was written, in a thread: a first build takes its time."""

import logging
import threading

from shared.storage.finder import Changed
from shared.storage.replica import Replica

log = logging.getLogger(__name__)

FEED_SECONDS = 10.0
"""How long one batch for search may hold its state of the replica."""


class _Read:
    """What was written, read at once: no state is held while it is indexed and pieces are merged,
    for which SQLite's log would grow.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def changed(self, revision: int, limit: int) -> list[Changed]:
        with self._replica.reading(FEED_SECONDS) as reader:
            return reader.changed(revision, limit)


class Feeder:
    """One process's, one replica at a time."""

    def __init__(self) -> None:
        self._closed = False
        self._thread: threading.Thread | None = None

    def feed(self, replica: Replica) -> None:
        """Bring search level with the replica, unless that is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._feed, args=(replica,), name="feeder", daemon=True
            )
            self._thread.start()

    def close(self, seconds: float) -> None:
        """Stop, and wait for so long until it has."""
        self._closed = True
        if self._thread is not None:
            self._thread.join(seconds)

    def _feed(self, replica: Replica) -> None:
        level = False
        try:
            while not level and not self._closed:
                level = replica.finder.feed(_Read(replica))
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.warning("search could not be fed: %r", error)
