"""Room on the disk for what a process counts, taken before it counts anything.

    take(directory, str(os.getpid()), measures.SERVICES)

What the library writes to is memory that stands for a file with holes in it. Where the disk is full
by the time that one is filled, the system ends the process with SIGBUS, and would do so with each
that replaces it. So the holes are filled before, where a full disk is an error like any other; and
under another name, as whoever reads all files cannot read one that is still empty.
"""

from collections.abc import Iterable
from pathlib import Path

from shared.observe.measures import Measure

UNFINISHED = ".new"

_BYTES = {"histogram": 2 << 20}
"""About 30 routes with ten statuses each; all else is far smaller."""

_BYTES_ELSE = 256 << 10


def take(directory: Path, owner: str, measured: Iterable[Measure]) -> None:
    """Make the files of one process, as the library names them. Raises OSError, and leaves none.

    A process that dies meanwhile leaves some that end with `UNFINISHED`.
    """
    kinds = {
        each.kind if not each.together else f"{each.kind}_{each.together}" for each in measured
    }
    made: list[Path] = []
    directory.mkdir(parents=True, exist_ok=True)
    try:
        for kind in sorted(kinds):
            unfinished = directory / f"{kind}_{owner}{UNFINISHED}"
            made.append(unfinished)
            unfinished.write_bytes(bytes(_BYTES.get(kind, _BYTES_ELSE)))
            made.append(unfinished.with_suffix(".db"))
            unfinished.replace(made[-1])
    except OSError:
        for path in made:
            path.unlink(missing_ok=True)
        raise
