"""Processor time of programs, to say where it goes: from /proc, with all their descendants."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def used(pid: int) -> float:
    """Seconds that a process, its descendants and those of them that ended have used."""
    fields = _fields(pid)
    if fields is None:
        return 0.0
    # user, system, and both of children that were waited for: fields 14 to 17 of proc(5)
    own = sum(int(field) for field in fields[11:15]) / _TICK
    return own + sum(used(child) for child in _children(pid))


def _fields(pid: int) -> list[str] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    running = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    # the parent is field 4
    return [other for other in running if (_fields(other) or ["", "0"])[1] == str(pid)]
