"""`Pending`: one caller's change on its way through the committer, and its answer."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from shared import errors, tracing, waiting
from shared.storage.access import Change, Committed
from shared.tracing import Span

T = TypeVar("T")

NAMED_MAX = 16
"""Requests that one line of the log names."""


class Pending(Generic[T]):
    """One caller's change on its way, and the answer once there is one.

    `first` names the document that the change looks at first: those of a batch are read together.
    """

    __slots__ = (
        *("_done", "abandoned", "asked_time", "change", "error", "first", "maybe_span", "queued"),
        *("request_id", "seq", "taken", "value"),
    )

    def __init__(
        self, change: Change[T], queued: float, first: tuple[str, str] | None = None
    ) -> None:
        self.change = change
        self.queued = queued
        self.first = first
        self.value: T | None = None
        self.error: Exception | None = None
        self.seq = 0
        self.abandoned = False
        self.asked_time = False
        self.taken = False
        at = tracing.here()
        self.request_id = tracing.id_of(at)
        self.maybe_span = at.child("commit", began=queued) if isinstance(at, Span) else None
        self._done = waiting.signal()

    def answer(self, seq: int) -> None:
        self.seq = seq
        self._done.set()

    def refuse(self, error: Exception) -> None:
        self.error = error
        self._done.set()

    def result(self, seconds: float) -> Committed[T]:
        """Wait for the answer. Raises the change's own exception, or Refused(BUSY)."""
        if not self._done.wait(seconds):
            self.abandoned = True
            raise busy()
        if self.error is not None:
            raise self.error
        return Committed(self.value, self.seq)  # type: ignore[arg-type]


def busy() -> errors.Refused:
    """The refusal for whatever may work in a moment."""
    return errors.Refused(errors.BUSY, retry_after_seconds=2)


def concerning(pendings: Sequence[Pending[Any]]) -> dict[str, list[str]]:
    """For a line of the log: whom it concerns, the first of them."""
    return {"trace_ids": [each.request_id for each in pendings[:NAMED_MAX] if each.request_id]}
