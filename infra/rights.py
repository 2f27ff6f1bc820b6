"""Who may do what with which objects: the one table that policies, the plan and the doctor read.

A row is a folder of keys and what one program does there, seen in the code and held against every
request that the programs make (tests/unit/test_infra_rights.py). Nothing else is granted, and two
things never: to delete in a journal, and to change a bucket.

Programs are called as the platform's processes are: a service by its name, its notifier
`‹service›-notices`, and `auditor` for what reads journals and copies them (`python -m infra.trail`
and `python -m shared.storage`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from infra.services import SERVICES
from shared.notices.outbox import database_of
from shared.storage.location import KEYS, PICTURES, Beside, Protection

AUDITOR = "auditor"

Rights = frozenset[str]
"""Of "read" (an object whose key one has), "list", "create", "delete"."""


def _rights(text: str) -> Rights:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Folder:
    """What a program may do with keys that begin with `path`, which ends in `/`.

    `kept`: what is there counts for good, so no lifecycle rule may remove it.
    """

    protection: Protection
    path: str
    rights: Rights
    kept: bool = False


_DATABASE: tuple[tuple[str, str, bool], ...] = (
    # Entries: never again a key that could be created anew.
    ("journal/", "read list create", True),
    # Derived: superseded ones are removed, and claims on making the next.
    ("snapshots/", "read list create delete", False),
    ("segments/", "read list create", False),
    ("segments/claims/", "delete", False),
    # A volume is replaced by one that has more, once an entry says so.
    ("archive/", "read list create delete", True),
    # The start-up probe and the doctor.
    ("probe/", "read list create delete", False),
)

_BESIDE: dict[str, tuple[tuple[Beside, str], ...]] = {
    # Erasing a person is deleting their key; a picture that no product names any more only costs.
    "identity": ((KEYS, "read create delete"),),
    "commerce": ((PICTURES, "read create delete"),),
}

_FOLLOWED: tuple[tuple[str, str], ...] = (("journal/", "read list"), ("segments/", "read list"))
"""What a notifier reads of its service."""

_AUDITED = (*_FOLLOWED, ("snapshots/", "read list"), ("archive/", "read"))


def databases() -> tuple[str, ...]:
    """Every journal of the platform."""
    return (*SERVICES, *map(database_of, SERVICES))


def programs() -> tuple[str, ...]:
    """Everybody who has credentials of their own."""
    return (*databases(), AUDITOR)


def beside() -> list[tuple[str, Beside]]:
    """What services keep beside their journals, and which."""
    return [(service, each) for service, rows in _BESIDE.items() for each, _ in rows]


def folders_of(program: str) -> tuple[Folder, ...]:
    """All that a program may do. Raises KeyError where there is no such program."""
    if program == AUDITOR:
        return tuple(_auditors())
    if program not in databases():
        raise KeyError(program)
    rows = [
        Folder("state", f"{program}/{path}", _rights(rights), kept)
        for path, rights, kept in _DATABASE
    ]
    followed = [service for service in SERVICES if database_of(service) == program]
    rows += [
        Folder("state", f"{service}/{path}", _rights(rights))
        for service in followed
        for path, rights in _FOLLOWED
    ]
    rows += [
        Folder(beside.protection, f"{program}/{beside.folder}/", _rights(rights), kept=True)
        for beside, rights in _BESIDE.get(program, ())
    ]
    return tuple(rows)


def _auditors() -> Iterator[Folder]:
    for name in databases():
        for path, rights in _AUDITED:
            yield Folder("state", f"{name}/{path}", _rights(rights))
        # No `delete`, and Object Lock besides.
        yield Folder("audit", f"{name}/segments/", _rights("read list create"), kept=True)


def kept_folders(protection: Protection) -> list[str]:
    """Where nothing may be removed by a bucket's own rules."""
    rows = [row for program in programs() for row in folders_of(program)]
    kept = [row.path for row in rows if row.kept and row.protection == protection]
    return list(dict.fromkeys(kept))
