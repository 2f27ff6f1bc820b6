"""Replicas on real file systems that are full or read-only: what is acknowledged is in the bucket.

Each runs as a program of its own, in a mount namespace of its own with a small disk in memory.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_PRELUDE = """
import logging
import os
import subprocess
from pathlib import Path

from shared.clock import SystemClock
from shared.errors import BUSY, Refused
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.database import JournalDatabase
from shared.condition import Condition
from shared.storage.memory import MemoryStore
from shared.storage.state import DatabaseState, Thresholds

logging.basicConfig(level=logging.WARNING)
clock = SystemClock()
store = MemoryStore()
disk = Path.cwd()
catalogue = Catalogue(Collection("notes"))


def opened():
    return JournalDatabase(store, catalogue, prefix="", directory=disk / "replica", clock=clock)


def write(database, name, size):
    return database.transact(lambda tx: tx.put("notes", name, {"text": "x" * size})).seq


def entries():
    return len(store.list("journal/"))


def disk_check(database, free_mib=1):
    state = DatabaseState(database, clock, Thresholds(disk_free_mib=free_mib))
    [found] = [check for check in Condition(clock, state).known() if check.name == "disk"]
    return found


def ready(database, seconds=30):
    deadline = clock.monotonic() + seconds
    while database.troubles():
        assert clock.monotonic() < deadline, database.troubles()
        clock.sleep(0.1)
"""

_FULL = """
database = opened()
assert write(database, "first", 10) == 2
assert disk_check(database).state == "ok"
assert disk_check(database, free_mib=2).state == "degraded"
filler = disk / "filler"
with filler.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"0" * 4096)
    except OSError as error:
        assert error.errno == 28, error
told = refused = 0
for number in range(20):
    try:
        write(database, f"n{number}", 100_000)
        told += 1
    except Refused as error:
        assert error.problem == BUSY
        refused += 1
    clock.sleep(0.05)
assert told and refused, (told, refused)
assert disk_check(database).state == "failing"
[trouble] = database.troubles()
assert trouble.startswith(f"no replica can be built in {disk}"), trouble
assert "full" in trouble, trouble
held = entries()
assert held == 2 + told, (held, told)
filler.unlink()
ready(database)
assert disk_check(database).state == "ok"
assert write(database, "after", 10) == held + 1
found = database.read(lambda view: sum(view.get("notes", f"n{n}") is not None for n in range(20)))
assert found.value == told, (found.value, told)
"""

_READ_ONLY = """
database = opened()
assert write(database, "first", 10) == 2
database.close()
subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
database = opened()
[trouble] = database.troubles()
assert "ead-only" in trouble or "readonly" in trouble, trouble
assert str(disk) in trouble, trouble
found = disk_check(database)
assert (found.state, str(disk) in found.says) == ("failing", True), found
try:
    write(database, "second", 10)
except Refused as error:
    assert error.problem == BUSY
else:
    raise AssertionError("written without a replica")
assert entries() == 2
subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
ready(database)
assert write(database, "second", 10) == 3
"""


def run(program: str, disk: Path) -> None:
    """Run `program` where `disk` is a file system of two megabytes that nothing else uses."""
    script = disk.parent / "program.py"
    script.write_text(_PRELUDE + program)
    mounted = f'mount -t tmpfs -o size=2m tmpfs "{disk}" && cd "{disk}" && exec "$0" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, sys.executable, str(script)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    run(_FULL, disk)


def test_a_read_only_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    run(_READ_ONLY, disk)
