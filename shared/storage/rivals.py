"""The other containers that write this journal, and whose turn that makes it.

While others write, whoever wrote longest ago goes first, and each after it gives those before it
the time of a few entries. All read the same journal, so all come to the same order; a batch is
seldom run for a place that another takes. It is a hint: whoever waited in vain goes ahead, two that
go at once meet at the journal, and one of them runs again.

A container that writes now and then is waited for only shortly after it wrote: it counts within as
many entries as two rounds of all take.
"""

from shared.clock import Clock

LATELY_SECONDS = 1.0
"""Who has met no other's entry for so long writes as if alone."""

_REMEMBERED = 16


def container_of(writer: str) -> str:
    """Which container a writer's name is of: processes add a part of their own to its name."""
    return writer.rpartition(".")[0] or writer


class Rivals:
    """What one process has seen of who wrote the latest entries."""

    def __init__(self, clock: Clock, writer: str) -> None:
        self._clock = clock
        self._own = container_of(writer)
        self._latest: tuple[str, ...] = ()
        self._foreign_at = float("-inf")
        self.seen_at = float("-inf")
        """When the latest entry was seen, on the monotonic clock."""

    def saw(self, writer: str) -> None:
        """Note who wrote an entry, in the journal's order."""
        container = container_of(writer)
        self._latest = (container, *self._latest[: _REMEMBERED - 1])
        self.seen_at = self._clock.monotonic()
        if container != self._own:
            self._foreign_at = self.seen_at

    def write(self) -> bool:
        """Whether other containers write, too."""
        return self._clock.monotonic() - self._foreign_at < LATELY_SECONDS

    def ahead(self) -> int:
        """How many containers go first."""
        lately = self._latest[: 2 * len(set(self._latest))]
        newest_first = list(dict.fromkeys(lately))
        if self._own not in newest_first:
            return 0
        return len(newest_first) - 1 - newest_first.index(self._own)
