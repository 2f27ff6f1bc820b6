"""What a container that serves makes at its leisure: copies and collections of what is stored.

A `Maker` has one thread at a time, and none while nothing is due. What it makes is derived, so a
failure is a line in the log: the next claim comes with the journal's growth.
"""

import logging
import threading
from collections.abc import Callable

from shared.storage.reader import Head

log = logging.getLogger(__name__)


class Maker:
    """Makes one kind of thing for one process.

    `due` gives the claim under which it may be made now, if it may; `make` does so.
    """

    def __init__(
        self, what: str, due: Callable[[Head], str | None], make: Callable[[str], object]
    ) -> None:
        self._what = what
        self._due = due
        self._make = make
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being made."""
        return self._thread is not None and self._thread.is_alive()

    def consider(self, head: Head) -> None:
        """Begin to make one, if one is due and none is being made. Raises StoreError."""
        if self.busy:
            return
        claim = self._due(head)
        if claim is not None:
            self._thread = threading.Thread(
                target=self.make, args=(claim,), name=self._what, daemon=True
            )
            self._thread.start()

    def make(self, claim: str) -> None:
        """Make one under `claim`, unless another has it."""
        try:
            self._make(claim)
        except Exception as error:  # noqa: BLE001 - nothing depends on it
            log.warning("no %s was made: %r", self._what, error)

    def join(self, seconds: float) -> None:
        """Wait for what is being made."""
        if self._thread is not None:
            self._thread.join(seconds)
