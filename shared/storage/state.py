"""`DatabaseState`: how a container's database is, check by check; a part of `condition.Condition`.

What is looked at takes no request of its own: what the engine has seen of the store, of the
journal, of its own disk. Only `look` asks the store, as any read would, and it is done beside.
"""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.clock import Clock
from shared.condition import Finding, State
from shared.errors import Refused
from shared.storage.committer import CLOCK_SKEW_MS_MAX
from shared.storage.database import JournalDatabase, Parts
from shared.storage.entry import UnreadableEntry
from shared.storage.follower import JournalTrouble
from shared.storage.journal import JournalGap
from shared.storage.objects import StoreError
from shared.storage.reader import Reader, ReadTooLong, ReplicaBroken
from shared.storage.rounds import STALL_SECONDS

LATE_SECONDS = 10.0
"""Who was asked a moment ago and has not been level for so long is behind."""

TOLD_SECONDS = 60.0
"""For so long a refused batch is told of, where nobody has tried to write since."""

STUCK_SECONDS = 300.0
"""All that a thread waits for is bounded far below this."""

FULL_BYTES = 1 << 20

_MANUAL = "See “When a container is not ready” in docs/operations.md."


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on something is at risk."""

    clock_seconds: int = 5
    disk_free_mib: int = 256


class DatabaseState:
    """How one process finds its database."""

    def __init__(
        self, database: JournalDatabase, clock: Clock, thresholds: Thresholds | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._thresholds = thresholds or Thresholds()

    def look(self) -> None:
        """Open the database if it is not, prove its head unless that just was, and have search hear
        of what it has not: where nobody asks for anything else, nobody else sees to that.
        """
        self._database.troubles()
        self._database.feed()

    def findings(self) -> Sequence[Finding]:
        found = [self._store(), *self._local(), self._skew(), self._disk()]
        parts = self._database.parts
        return found if parts is None else [*found, self._writes(parts)]

    def _is_away(self) -> bool:
        parts = self._database.parts
        return self._database.pulse.is_away() and (parts is None or parts.evidence.is_store_away())

    def stuck(self) -> Sequence[str]:
        parts = self._database.parts
        if parts is None:
            return []
        said = [
            f"the {name} thread has ended"
            for name, ended in (
                ("committing", parts.committer.has_ended()),
                ("following", parts.tailer.has_ended()),
            )
            if ended
        ]
        catching = self._database.catching
        if catching.building or self._clock.monotonic() - catching.moved_at < STUCK_SECONDS:
            return said
        for name, seconds in (
            ("committing", parts.committer.rounds.under_way_seconds()),
            ("following", parts.tailer.ticking_seconds()),
        ):
            if seconds > STUCK_SECONDS:
                said.append(f"the {name} thread has been at one thing for {seconds:.0f} s")
        return said

    def _ago(self, at: float) -> str:
        return f"{max(0.0, self._clock.monotonic() - at):.0f} s ago"

    # The store

    def _store(self) -> Finding:
        pulse = self._database.pulse
        silence, answered = pulse.silence(), pulse.answered_at
        last = "has not answered yet" if answered is None else f"answered {self._ago(answered)}"
        failed = self._database.failed_by
        if answered is None and isinstance(failed, StoreError):
            # What is asked first of all, whether it is safe, goes past the pulse.
            return Finding("store", "degraded", f"{failed.told()}; the store {last}", _STORE)
        if silence is None and self._is_away():
            return Finding("store", "degraded", f"a request hangs; the store {last}", _STORE)
        if silence is None:
            return Finding("store", "ok", f"the store {last}")
        return Finding("store", "degraded", f"{silence.told}; the store {last}", _STORE)

    # The replica, the journal behind it and the index beside it

    def _local(self) -> list[Finding]:
        parts, failed = self._database.parts, self._database.failed_by
        if parts is None:
            if isinstance(failed, JournalTrouble | JournalGap | UnreadableEntry):
                return [Finding("journal", "failing", str(failed), _MANUAL)]
            return [Finding("replica", "failing", self._opening(), _MANUAL)]
        try:
            with parts.follower.reading() as reader:
                return [self._journal(parts), self._replica(parts, reader), *self._search(reader)]
        except (ReplicaBroken, ReadTooLong, OSError, sqlite3.Error) as error:
            return [self._journal(parts), Finding("replica", "failing", str(error), _DISK)]

    def _opening(self) -> str:
        catching = self._database.catching
        if not catching.building:
            return self._database.failure or "the database is being opened"
        if not catching.total:
            return "the replica is being built"
        return f"the replica is being built: {catching.done} of {catching.total} entries"

    def _journal(self, parts: Parts) -> Finding:
        trouble = parts.follower.trouble
        if trouble is not None:
            return Finding("journal", "failing", trouble, _MANUAL)
        return Finding("journal", "ok", "every entry seen so far could be applied")

    def _replica(self, parts: Parts, reader: Reader) -> Finding:
        proof = parts.prover.latest()
        at = f"at entry {reader.head.seq}"
        if proof.began == float("-inf"):
            return Finding("replica", "degraded", f"{at}, not yet known to be level", _STORE)
        said = f"{at}, level with the journal {self._ago(proof.began)}"
        late = self._clock.monotonic() - proof.began > LATE_SECONDS
        return Finding("replica", "degraded" if late else "ok", said, _STORE if late else "")

    def _search(self, reader: Reader) -> list[Finding]:
        if not reader.catalogue.searchable:
            return []
        try:
            standing = reader.finder.standing(reader)
        except Refused:  # it is damaged, and removed
            standing = "building"
        if standing == "building":
            return [Finding("search", "degraded", "the search index is being built", _SEARCH)]
        return [Finding("search", "ok", f"the search index is {standing}")]

    # Clock and disk

    def _skew(self) -> Finding:
        skew_ms = self._database.pulse.clock_skew_ms()
        if skew_ms is None:
            return Finding("clock", "ok", "not yet compared with the store's")
        said = f"this machine's clock is {-skew_ms / 1000:+.0f} s off the object store's"
        if abs(skew_ms) > CLOCK_SKEW_MS_MAX:
            return Finding(
                "clock", "degraded", f"{said}; nothing is written until they agree", _CLOCK
            )
        if abs(skew_ms) > self._thresholds.clock_seconds * 1000:
            return Finding("clock", "degraded", said, _CLOCK)
        return Finding("clock", "ok", said)

    def _disk(self) -> Finding:
        directory = self._database.directory
        try:
            place = _existing(directory)
            room = os.statvfs(place)
        except OSError as error:
            return Finding("disk", "failing", f"{directory} cannot be used: {error}", _DISK)
        free = room.f_bavail * room.f_frsize
        state: State = "ok"
        said = f"{free >> 20} MiB are free in {directory}"
        if not os.access(place, os.W_OK):
            state, said = "failing", f"{directory} cannot be written to"
        elif free < FULL_BYTES:
            state = "failing"
        elif free < self._thresholds.disk_free_mib << 20:
            state = "degraded"
        return Finding("disk", state, said, "" if state == "ok" else _DISK)

    # Writing

    def _writes(self, parts: Parts) -> Finding:
        rounds = parts.committer.rounds
        if rounds.under_way_seconds() > STALL_SECONDS:
            said = f"a batch has waited for {rounds.under_way_seconds():.0f} s"
            return Finding("writes", "degraded", said, _WRITES)
        if self._is_away():
            return Finding("writes", "degraded", "refused at once: the store is away", _WRITES)
        latest = rounds.latest
        if latest is None:
            return Finding("writes", "ok", "nothing was written by this process yet")
        if not latest.trouble:
            return Finding("writes", "ok", f"the last batch was decided {self._ago(latest.at)}")
        said = f"the last batch was refused {self._ago(latest.at)}: {latest.trouble}"
        recent = self._clock.monotonic() - latest.at < TOLD_SECONDS
        return Finding("writes", "degraded" if recent else "ok", said, _WRITES if recent else "")


_STORE = (
    "Look at the object store and the network to it. Public reads go on, marked by their age;"
    " whatever needs the store is refused and can be repeated. Do not restart containers: one that"
    " starts now has nothing to serve."
)
_WRITES = (
    "Look at the object store: its free space, its quota, this service's right to create. Reads go"
    " on. What was refused may have been stored: clients repeat it with the same Idempotency-Key."
)
_CLOCK = "Set the clock that is wrong, this machine's or the store's (chronyc tracking)."
_DISK = (
    "Make room or remount it, or point GANSU_REPLICA_DIRECTORY elsewhere; nothing on it is lost."
)
_SEARCH = "Wait; searches are answered busy until it is there, all other reads go on."


def _existing(path: Path) -> Path:
    """The path, or what will hold it once it is made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
