"""What the engine tells whoever observes it: numbers as they come, and the spans of a commit.

    JournalDatabase(store, …, telemetry=telemetry)

A narrow port: the engine knows neither what collects its numbers nor how. Calls come from the
committing thread, and from requests where they are counted; they return at once and never raise.
By default nobody listens (`SILENT`).

A commit's spans, of requests that are looked at (`shared/tracing.py`):

    commit                 the request waits for its entry
      commit.queue         … until the committer takes its change up
      commit.attempt       … while a batch with it is run and offered; once more for a lost race

An attempt serves many requests. It stands in the trace of the first of those that are looked at,
with what it asks of the store within it, and it and the others name each other by links.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from shared import tracing
from shared.tracing import Span

Outcome = Literal["applied", "lost_race", "undecided", "refused"]
"""What became of an attempt to store an entry: stored; another writer was first; nobody knows; not
tried, or refused by the store.
"""


class Telemetry(Protocol):
    """Listens to one database's engine in one process."""

    def batch(self, changes: int) -> None:
        """An entry with so many changes was stored."""

    def commit(self, outcome: Outcome) -> None:
        """An attempt to store an entry came to its end."""

    def waited(self, seconds: Sequence[float]) -> None:
        """Changes were taken up, after they had waited for so long in the queue."""


class _Silent:
    """Nobody listens."""

    def batch(self, changes: int) -> None: ...

    def commit(self, outcome: Outcome) -> None: ...

    def waited(self, seconds: Sequence[float]) -> None: ...


SILENT: Telemetry = _Silent()


class Waiting(Protocol):
    """What the spans of a commit need of one that waits for it."""

    queued: float
    timed: bool
    maybe_span: Span | None


def taken_up(waiting: Sequence[Waiting], now: float, telemetry: Telemetry) -> None:
    """Tell how long those waited that are taken up for the first time."""
    fresh = [each for each in waiting if not each.timed]
    if not fresh:
        return
    for each in fresh:
        each.timed = True
        if each.maybe_span is not None:
            each.maybe_span.child("commit.queue", began=each.queued).end(now)
    telemetry.waited([now - each.queued for each in fresh])


def joined(own: Span, more: Sequence[Waiting]) -> None:
    """Note in the span of an attempt those who came while it waited for its turn."""
    own.attributes["gansu.changes"] = int(own.attributes["gansu.changes"]) + len(more)
    _link(own, [each.maybe_span for each in more if each.maybe_span is not None])


def _link(own: Span, others: Sequence[Span]) -> None:
    for other in others:
        own.link(other)
        other.link(own)


@contextmanager
def attempt(waiting: Sequence[Waiting], began: float) -> Iterator[Span | None]:
    """The span of one attempt with all of them, where any is looked at."""
    spans = [each.maybe_span for each in waiting if each.maybe_span is not None]
    if not spans:
        yield None
        return
    first, *others = spans
    own = first.child("commit.attempt", began=began)
    own.attributes["gansu.changes"] = len(waiting)
    _link(own, others)
    try:
        with tracing.within(own):
            yield own
    except BaseException:
        own.failed = True
        raise
    finally:
        own.end()
