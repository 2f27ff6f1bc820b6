"""Copies journals to the audit's bucket, where Object Lock keeps them: `python -m infra.trail`.

    python -m infra.trail                    what is new of every journal, and ends: for a timer
    python -m infra.trail --every 300        the same every five minutes, until SIGTERM
    python -m infra.trail commerce --check   reads the whole trail and holds it against the journal

It reads GANSU_STORE_… and GANSU_AUDIT_BUCKET, with the auditor's credentials.

It exits with 0 where all agrees, 1 where a journal is damaged or does not hold what was copied of
it earlier (it was rewritten, cut off, or restored from a backup), 2 where the work could not be
done. docs/provisioning.md has the rest.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from tqdm import tqdm

from infra.rights import databases
from shared import terminal
from shared.clock import Clock, SystemClock
from shared.settings import SettingsError, StoreSettings, load_store
from shared.storage.entry import UnreadableEntry
from shared.storage.journal import Journal, JournalGap
from shared.storage.location import store_address
from shared.storage.objects import StoreError
from shared.storage.s3 import S3Store
from shared.storage.segments import ChainBroken
from shared.storage.trail import Trail

WELL, WRONG, UNDONE = 0, 1, 2

_DAMAGE = (ChainBroken, JournalGap, UnreadableEntry)

Work = Callable[[str, Trail], int]


def main(argv: Sequence[str], stopping: threading.Event) -> int:
    """Run with these arguments until `stopping`; the exit status, of the last round."""
    arguments = _arguments(argv)
    work: Work = check if arguments.check else lambda name, trail: copy(name, trail, stopping)
    names = arguments.journals or databases()
    while True:
        status = attempt(names, work)
        if not arguments.every or stopping.wait(arguments.every):
            return status


def attempt(names: Sequence[str], work: Work, clock: Clock | None = None) -> int:
    """One round; its exit status."""
    try:
        settings = load_store({})
        if not settings.audit_bucket:
            raise SettingsError("GANSU_AUDIT_BUCKET names no bucket")
        return round_of(settings, clock or SystemClock(), names, work)
    except (SettingsError, StoreError) as error:
        said = error.told() if isinstance(error, StoreError) else str(error)
        print(f"Not done: {said}", file=sys.stderr)
        return UNDONE


def round_of(settings: StoreSettings, clock: Clock, names: Sequence[str], work: Work) -> int:
    """The work on each journal; the worst of the statuses. Raises StoreError."""
    with ExitStack() as ends:
        source = S3Store(store_address(settings), clock)
        ends.callback(source.close)
        # Under Object Lock a store wants to know what it is to keep.
        target = S3Store(store_address(settings, "audit"), clock, digests=True)
        ends.callback(target.close)
        worst = WELL
        for name in names:
            prefix = f"{settings.store_prefix}{name}/"
            trail = Trail(Journal(source, prefix, clock), target, prefix)
            worst = max(worst, _tried(name, trail, work))
        return worst


def _tried(name: str, trail: Trail, work: Work) -> int:
    try:
        return work(name, trail)
    except _DAMAGE as error:
        print(f"{name}: {error}", file=sys.stderr)
        return WRONG


def copy(name: str, trail: Trail, stopping: threading.Event) -> int:
    """Copy what is new of a journal."""
    copied = trail.copy(stopping.is_set)
    print(f"{name}: {copied.seq:,} entries are copied, {copied.pieces:,} pieces of them now")
    for key in copied.foreign:
        print(f"{name}: the journal does not hold what was copied as {key}", file=sys.stderr)
    return WRONG if copied.foreign else WELL


def check(name: str, trail: Trail) -> int:
    """Hold all that was copied of a journal against it."""
    # A GET an entry: of a long journal that takes hours.
    with tqdm(desc=name, unit=" entries", disable=not sys.stderr.isatty()) as bar:
        findings = list(trail.check(bar.update))
    for finding in findings:
        print(f"{name}: {finding}", file=sys.stderr)
    print(f"{name}: {'checked' if findings else 'all that was copied agrees'}")
    return WRONG if findings else WELL


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.trail",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("journals", nargs="*", metavar="journal", help="whose; all without any")
    parser.add_argument("--check", action="store_true", help="read it whole, and copy nothing")
    parser.add_argument("--every", type=float, default=0, help="seconds between rounds")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.journals) - set(databases()))
    if unknown:
        parser.error(f"there is no journal of {', '.join(unknown)}")
    return arguments


def _asked_to_stop() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    return stopping


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:], _asked_to_stop()))
