"""What happened in a simulation, as those outside the engine saw it."""

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.shop import Looking, Operation, Row


@dataclass(slots=True)
class Attempt:
    """One request. `floor` is the newest entry that anyone had been told of before it began,
    `ceiling` the newest that was stored when it was answered.

    `outcome` is "done", "refused", "busy" or "lost" (the process died, or never answered).
    `final` says that the client heard the answer and asked no more, and that no earlier request
    for the same was still being worked on.
    """

    operation: Operation
    where: str
    floor: int
    final: bool = False
    outcome: str = "lost"
    slug: str = ""
    row: Row | None = None
    seq: int = 0
    ceiling: int = 0


@dataclass(slots=True)
class Reading:
    """One answered read. `floor` is the oldest entry that it may stand at."""

    look: Looking
    where: str
    floor: int
    how: str
    rows: list[Row] = field(default_factory=list)
    seq: int = 0


@dataclass(slots=True)
class History:
    """All of it, in order; `lines` are for people."""

    attempts: list[Attempt] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    told: int = 0
    """The newest entry that anyone was told of."""
    told_at: list[tuple[float, int]] = field(default_factory=list)

    def say(self, now: float, who: str, what: object) -> None:
        self.lines.append(f"{now:10.4f}  {who:<10}{what}")

    def tell(self, now: float, seq: int) -> None:
        if seq > self.told:
            self.told = seq
            self.told_at.append((now, seq))

    def told_by(self, moment: float) -> int:
        """The newest entry that anyone had been told of at an earlier moment."""
        seq = 0
        for when, told in self.told_at:
            if when > moment:
                break
            seq = told
        return seq


def shown(value: Any) -> str:
    """A row on one line."""
    return " ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
