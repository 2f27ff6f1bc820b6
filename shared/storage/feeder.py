"""`Feeder`: lets search hear of what was written, in a thread: a first build takes its time."""

import logging
import threading
from collections.abc import Callable

from shared.storage.replica import Replica

log = logging.getLogger(__name__)

FEED_SECONDS = 10.0
"""How long one batch for search may hold its state of the replica."""


class Feeder:
    """One process's feeding of search, from the tailer's tick."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self.thread: threading.Thread | None = None

    def consider(self, replica: Replica) -> None:
        """Begin, unless it is under way."""
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(
                target=self._feed, args=(replica,), name="feeder", daemon=True
            )
            self.thread.start()

    def _feed(self, replica: Replica) -> None:
        level = False
        try:
            while not level and not self._stopped():
                with replica.reading(FEED_SECONDS) as reader:
                    level = replica.finder.feed(reader)
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.warning("search could not be fed: %r", error)

    def join(self, seconds: float) -> None:
        """Wait for what is under way."""
        if self.thread is not None:
            self.thread.join(seconds)
