"""What a change comes to, and whether only the hour kept it from writing (docs/decisions/0016)."""

from collections.abc import Sequence
from typing import Any, TypeVar

from shared import errors
from shared.clock import Clock
from shared.errors import Problem, Refused
from shared.storage.access import Change
from shared.storage.pending import Pending, busy
from shared.storage.reader import Reader, ReadTooLong, ReplicaBroken
from shared.storage.transaction import Batch, BatchFull, ChangeTooSlow

T = TypeVar("T")


def run(batch: Batch, change: Change[T], bytes_max: int) -> tuple[T | None, Exception | None]:
    """Run a change into a batch: its value, or what its caller is to see instead.

    Raises BatchFull, and ReplicaBroken.
    """
    try:
        return batch.run(change, bytes_max=bytes_max), None
    except (BatchFull, ReplicaBroken):
        raise
    except ChangeTooSlow:
        return None, Refused(errors.TOO_LARGE)
    except ReadTooLong:
        return None, busy()
    except Exception as error:  # noqa: BLE001 - it is the caller's to see, not this thread's
        return None, error


def hang_on_time(
    reader: Reader, clock: Clock, pendings: Sequence[Pending[Any]], bytes_max: int
) -> bool:
    """Whether one of those that wrote nothing would have come to something else at the time of the
    head's entry.

    An attempt at the same that was given up (its store did not answer, its process died) may still
    be on its way to the place behind the head, made on this very state. What this state keeps from
    writing is not in it; what only the hour keeps from it may be.
    """
    return any(
        pending.asked_time and _came_to_else(Batch(reader, clock, 0), pending, bytes_max)
        for pending in pendings
    )


def _came_to_else(earlier: Batch, pending: Pending[Any], bytes_max: int) -> bool:
    try:
        _, error = run(earlier, pending.change, bytes_max)
    except BatchFull:
        return False  # at no hour does it fit into an entry
    wrote = bool(earlier.layer.writes or earlier.layer.events)
    return wrote or _kind(error) != _kind(pending.error)


def _kind(error: Exception | None) -> Problem | type:
    """In which words a change refused; values say nothing, since they may well name the time."""
    return error.problem if isinstance(error, Refused) else type(error)
