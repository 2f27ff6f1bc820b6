"""The operator's commands over one service's journal; they read the bucket and never write to it.

    python -m shared.storage inspect commerce
    python -m shared.storage verify commerce --head ‹hash›
    python -m shared.storage export commerce --output documents.jsonl

They exit with 0 if all is well, 1 if something is wrong with what they read, and 2 if they could
not do their work (wrong arguments, a store that does not answer, a full disk).
"""

import argparse
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from shared import terminal
from shared.clock import Clock, SystemClock
from shared.settings import SettingsError, StoreSettings, load_store
from shared.storage import export
from shared.storage.audit import Chain, Progress, ReadOnlyStore, located
from shared.storage.entry import UnreadableEntry
from shared.storage.inspection import Inspection, entry_text
from shared.storage.journal import JournalGap
from shared.storage.location import store_address
from shared.storage.objects import Absent, ObjectStore, StoreError
from shared.storage.reader import ReplicaBroken
from shared.storage.s3 import S3Store
from shared.storage.verification import Verification, Verified
from shared.storage.volume import VolumeDamaged

WELL, WRONG, UNDONE = 0, 1, 2

FINDINGS_SHOWN = 200

Connect = Callable[[StoreSettings, Clock], AbstractContextManager[ObjectStore]]

_OVERRIDES = {
    "endpoint": "GANSU_STORE_ENDPOINT",
    "region": "GANSU_STORE_REGION",
    "bucket": "GANSU_STORE_BUCKET",
    "prefix": "GANSU_STORE_PREFIX",
    "replica": "GANSU_REPLICA_DIRECTORY",
}


class NothingToCompare(Exception):  # noqa: N818 - a verdict
    """There is no local replica where the operator said that there is one."""


class Findings:
    """What was found wrong: shown as it is found, up to a bound, and counted."""

    def __init__(self, stream: TextIO) -> None:
        self.count = 0
        self._stream = stream

    def add(self, finding: str) -> None:
        self.count += 1
        if self.count <= FINDINGS_SHOWN:
            say(finding, self._stream)
        elif self.count == FINDINGS_SHOWN + 1:
            say("… and more", self._stream)


@dataclass(frozen=True, slots=True)
class Job:
    """One command's surroundings; `prefix` is what stands before `journal/`."""

    arguments: argparse.Namespace
    store: ObjectStore
    prefix: str
    clock: Clock
    replicas: Path
    workplace: Path
    progress: Progress
    findings: Findings


def say(line: str, stream: TextIO) -> None:
    """Print a line where no progress bar stands."""
    tqdm.write(line, file=stream)


def _connected(settings: StoreSettings, clock: Clock) -> AbstractContextManager[ObjectStore]:
    return closing(S3Store(store_address(settings), clock))


def main(argv: Sequence[str], connect: Connect = _connected, clock: Clock | None = None) -> int:
    """Run one command; its exit code."""
    arguments = _arguments(argv)
    try:
        with _job(arguments, connect, clock or SystemClock()) as job:
            code: int = arguments.command(job)
    except (UnreadableEntry, JournalGap, Absent, VolumeDamaged, export.NotExported) as error:
        return _failed(error, WRONG)
    except (
        SettingsError,
        StoreError,
        NothingToCompare,
        ReplicaBroken,
        sqlite3.Error,
        OSError,
    ) as error:
        return _failed(error, UNDONE)
    return code


def _failed(error: Exception, code: int) -> int:
    # What is built is built here, and here alone may run out of room.
    local = isinstance(error, ReplicaBroken | sqlite3.Error | OSError)
    where = f" (TMPDIR is {tempfile.gettempdir()})" if local else ""
    say(f"{type(error).__name__}: {error}{where}", sys.stderr)
    return code


@contextmanager
def _job(arguments: argparse.Namespace, connect: Connect, clock: Clock) -> Iterator[Job]:
    given = {variable: getattr(arguments, name) for name, variable in _OVERRIDES.items()}
    settings = load_store({name: value for name, value in given.items() if value is not None})
    shown = arguments.progress or sys.stderr.isatty()

    def bar(label: str, total: int | None) -> AbstractContextManager[Callable[[int], object]]:
        return _bar(label, total, shown=shown)

    with (
        connect(settings, clock) as store,
        tempfile.TemporaryDirectory(prefix="gansu-storage-") as workplace,
    ):
        yield Job(
            arguments=arguments,
            store=ReadOnlyStore(store, clock),
            prefix=f"{settings.store_prefix}{arguments.service}/",
            clock=clock,
            replicas=settings.replica_directory / arguments.service,
            workplace=Path(workplace),
            progress=bar,
            findings=Findings(arguments.findings_stream),
        )


@contextmanager
def _bar(label: str, total: int | None, *, shown: bool) -> Iterator[Callable[[int], object]]:
    with tqdm(desc=label, total=total, disable=not shown, file=sys.stderr) as bar:
        yield bar.update


# Commands


def _inspect(job: Job) -> int:
    if job.arguments.entry is not None:
        say(entry_text(job.store, job.prefix, job.clock, job.arguments.entry), sys.stdout)
        return WELL
    inspection = Inspection(
        job.store,
        job.prefix,
        job.clock,
        replicas=job.replicas,
        workplace=job.workplace,
        report=job.findings.add,
    )
    for line in inspection.lines(job.progress):
        say(line, sys.stdout)
    return WRONG if job.findings.count else WELL


def _verify(job: Job) -> int:
    database = _database(job)
    with Verification(
        job.store, job.prefix, job.clock, job.workplace, job.findings.add
    ) as verification:
        if job.arguments.head is not None:
            verification.expect(job.arguments.head, job.arguments.at)
        verification.add_snapshots()
        compared = verification.add_replicas(job.replicas, database) if job.arguments.replica else 1
        if not compared:
            raise NothingToCompare(f"no replica of this journal is under {job.replicas}")
        verified = verification.run(database, job.progress, singly=job.arguments.every_entry)
    for line in _summary(verified, job.findings.count):
        say(line, sys.stdout)
    return WRONG if job.findings.count else WELL


def _database(job: Job) -> str:
    """The database's id; empty where entry 1 is damaged or gone, which the walk then names."""
    try:
        return located(job.store, job.prefix, job.clock)
    except UnreadableEntry:
        return ""
    except Absent:
        if Chain(job.store, job.prefix, job.clock, job.findings.add).last():
            return ""
        raise


def _summary(verified: Verified, findings: int) -> Iterator[str]:
    unbroken = "" if findings else ", one unbroken chain"
    yield f"entries     {verified.entries:,} with {verified.bytes:,} bytes{unbroken}"
    if verified.segments:
        alone = verified.entries - verified.by_segments
        yield f"read        {alone:,} under their own keys, the others in segments"
        yield f"segments    {verified.segments:,} that end with entries of this journal"
    yield f"head        entry {verified.seq:,}, hash {verified.hash}"
    yield f"documents   {verified.documents:,} as of entry {verified.rebuilt_seq:,}"
    if verified.volumes:
        yield f"archived    {verified.archived:,} in {verified.volumes:,} volumes"
    yield f"digest      {verified.digest}"
    for whose in verified.agreeing:
        yield f"agrees      {whose}"
    for whose in verified.uncompared:
        yield f"uncompared  {whose}: the journal is damaged before the entry that it stands at"
    if findings:
        yield f"findings    {findings:,}"


def _export(job: Job) -> int:
    output = None if job.arguments.output == "-" else Path(job.arguments.output)
    lines = _exported_entries(job) if job.arguments.entries else _exported_documents(job)
    count = 0
    with job.progress("lines", None) as step, export.destination(output) as file:
        for line in lines:
            file.write(line)
            count += 1
            step(1)
    say(f"{count:,} lines", sys.stderr)
    return WELL


def _exported_entries(job: Job) -> Iterator[bytes]:
    chain = Chain(job.store, job.prefix, job.clock, job.findings.add)
    if not chain.last():
        raise Absent(f"there is no journal under {job.prefix}journal/")
    yield from export.entries(chain)


def _exported_documents(job: Job) -> Iterator[bytes]:
    yield from export.present(
        job.store,
        job.prefix,
        job.clock,
        job.workplace,
        job.progress,
        job.findings.add,
        job.arguments.collection,
    )


# Arguments


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    common = _common()
    parser = argparse.ArgumentParser(
        prog="python -m shared.storage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    inspect = commands.add_parser("inspect", parents=[common], help="what is in the bucket")
    inspect.add_argument("--entry", type=_number, help="show one entry of the journal")
    inspect.set_defaults(command=_inspect, findings_stream=sys.stdout)

    verify = commands.add_parser("verify", parents=[common], help="whether all of it is sound")
    verify.add_argument("--head", type=_hash, help="a head's hash that was kept elsewhere")
    verify.add_argument("--at", type=_number, help="the entry that had it; else any entry may")
    verify.add_argument(
        "--every-entry",
        action="store_true",
        help="read each entry under its own key, also those that segments hold",
    )
    verify.set_defaults(command=_verify, findings_stream=sys.stdout)

    export_ = commands.add_parser("export", parents=[common], help="take data out, as JSON lines")
    export_.add_argument("--output", default="-", help="a file, complete or not there at all")
    what = export_.add_mutually_exclusive_group()
    what.add_argument("--collection", help="documents of this collection only")
    what.add_argument("--entries", action="store_true", help="the journal's entries instead")
    export_.set_defaults(command=_export, findings_stream=sys.stderr)

    arguments = parser.parse_args(argv)
    if getattr(arguments, "at", None) is not None and arguments.head is None:
        verify.error("--at says where --head was")
    return arguments


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("service", help="whose journal: commerce, …")
    for name, variable in _OVERRIDES.items():
        only = "; verify compares replicas only if this is given" if name == "replica" else ""
        common.add_argument(f"--{name}", help=f"in place of {variable}{only}")
    common.add_argument("--progress", action="store_true", help="show it off a terminal too")
    return common


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text):
        raise argparse.ArgumentTypeError("the number of an entry: 1, 2, 3 …")
    return int(text)


def _hash(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("64 hex digits, as `inspect` prints them")
    return text


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
