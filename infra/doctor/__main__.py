"""The command.

    python -m infra.doctor                       with an operator's credentials: store and buckets
    python -m infra.doctor --service commerce    with commerce's: what it can do and should not
    python -m infra.doctor --json

It reads GANSU_STORE_… and the buckets' settings, and works below `‹prefix›probe/`, with --service
below the program's own: it stores some 150 small objects and removes them, as far as it may.

It exits with 0 where nothing is wrong, 1 where something is, 2 where it could not look.
docs/provisioning.md says what each finding is about.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict

from infra.doctor.behaviour import behaviour
from infra.doctor.buckets import buckets
from infra.doctor.finding import Finding, trouble
from infra.doctor.latency import latency
from infra.doctor.permissions import permissions
from infra.kinds import KINDS, kind_of
from infra.plan import Options
from infra.rights import AUDITOR, folders_of, programs
from shared import terminal
from shared.clock import Clock, SystemClock
from shared.settings import SettingsError, StoreSettings, load_store
from shared.storage.location import store_address
from shared.storage.objects import ObjectStore, StoreError
from shared.storage.s3 import S3Store
from shared.storage.s3_admin import S3Admin

WELL, WRONG, UNDONE = 0, 1, 2

_SIGNS = {"well": "ok   ", "note": "note ", "wrong": "WRONG"}


class Unreachable(Exception):  # noqa: N818 - the end of an examination
    """The store could not be asked at all; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.said)
        self.finding = finding


def main(argv: Sequence[str], clock: Clock | None = None) -> int:
    """Run with these arguments; the exit status."""
    arguments = _arguments(argv)
    found: list[Finding] = []
    status = UNDONE
    try:
        settings = load_store({})
        options = Options(kind_of(settings, arguments.store))
        found += examined(settings, clock or SystemClock(), arguments.service, options)
        status = WRONG if any(each.level == "wrong" for each in found) else WELL
    except SettingsError as error:
        found.append(Finding("wrong", "settings", f"{error}.", "Correct them: docs/settings.md."))
    except Unreachable as error:
        found.append(error.finding)
    if arguments.json:
        rows = [asdict(each) for each in found]
        print(json.dumps({"status": status, "findings": rows}, indent=2))
    else:
        _show(found)
    return status


def examined(
    settings: StoreSettings, clock: Clock, program: str | None, options: Options
) -> Iterator[Finding]:
    """All findings, in the order in which they are made. Raises Unreachable."""
    with ExitStack() as ends:
        stores = []
        for _ in range(2):
            try:
                store = S3Store(store_address(settings), clock)
            except StoreError as error:
                raise Unreachable(trouble("credentials", error)) from error
            ends.callback(store.close)
            stores.append(store)
        yield from _examined(settings, clock, program, options, stores)


def _examined(
    settings: StoreSettings,
    clock: Clock,
    program: str | None,
    options: Options,
    stores: list[S3Store],
) -> Iterator[Finding]:
    store, other = stores
    own = f"{program}/" if program else ""
    mark = f"doctor-{clock.random(8).hex()}"
    place = f"{settings.store_prefix}{own}probe/{mark}/"
    made: list[str] = []
    own_folder = next(iter(folders_of(program))).path if program else ""
    yield _reached(store, f"{settings.store_prefix}{own_folder}", settings)
    try:
        if program != AUDITOR:  # who stores nothing there
            yield from behaviour(store, other, place, made)
            yield from latency(store, f"{place}third/", made, clock)
        if program is None:
            yield from buckets(settings, clock, options)
        else:
            admin = S3Admin(store_address(settings))
            prefix = settings.store_prefix
            yield from permissions(store, admin, prefix, program, f"{mark}-own", made)
    finally:
        left = _removed(store, made)
    if left:
        said = f"{len(left)} small objects stay, such as {left[0]}: they may not be removed."
        yield Finding("note", "left behind", said)


def _reached(store: ObjectStore, folder: str, settings: StoreSettings) -> Finding:
    where = settings.store_endpoint or f"AWS, {settings.store_region}"
    try:
        store.list(folder, limit=1)
    except StoreError as error:
        raise Unreachable(trouble("reach", error)) from error
    return Finding("well", "reach", f"{where} answers, and takes these credentials.")


def _removed(store: ObjectStore, made: list[str]) -> list[str]:
    """Remove what was made; what stays."""
    left = []
    for key in made:
        try:
            store.delete(key)
        except StoreError:
            left.append(key)
    return left


def _show(found: Sequence[Finding]) -> None:
    for each in found:
        print(f"{_SIGNS[each.level]} {each.about}: {each.said}")
        if each.do:
            print(f"      → {each.do}")
    wrong = sum(each.level == "wrong" for each in found)
    print(f"{wrong} wrong, of {len(found)} findings")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--service", choices=programs(), help="whose credentials these are")
    parser.add_argument("--json", action="store_true", help="for a program to read")
    parser.add_argument("--store", choices=sorted(KINDS), help="which kind it is")
    return parser.parse_args(argv)


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main(sys.argv[1:]))
