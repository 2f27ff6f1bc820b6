"""What the credentials can do: what their program needs, and what nobody should be able to do.

Nothing that is tried here does harm if it goes through: what is deleted in a journal is a key that
no entry has, what is written at others' is below their `probe/`, and the policy that is set is no
policy, which every store refuses after it has looked at who asks.
"""

from collections.abc import Callable, Iterator
from functools import partial

from infra.doctor.finding import Finding, trouble
from infra.rights import AUDITOR, databases, folders_of
from shared.storage.objects import Absent, Denied, Exists, Misconfigured, ObjectStore, StoreError
from shared.storage.s3_admin import S3Admin

_ENTRY = "journal/00000000000000000001.json"


def permissions(
    store: ObjectStore, admin: S3Admin, prefix: str, program: str, mark: str, made: list[str]
) -> Iterator[Finding]:
    """Those of a program in the state's bucket. `mark` names what is created, noted in `made`."""
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("rights", lambda: _needed(store, prefix, program)),
        ("tidying", lambda: _tidying(store, f"{prefix}{program}/probe/{mark}", made)),
        ("journal", lambda: _journal(store, f"{prefix}{program}/journal/{mark}", program)),
        ("others' objects", lambda: _others(store, prefix, program, mark, made)),
        ("bucket", lambda: _policy(admin)),
    )
    for about, look in looks:
        if about == "tidying" and program == AUDITOR:
            continue  # it stores nothing there
        try:
            yield look()
        except StoreError as error:
            yield trouble(about, error)


def _needed(store: ObjectStore, prefix: str, program: str) -> Finding:
    lacking: list[str] = []
    for folder in folders_of(program):
        path = f"{prefix}{folder.path}"
        if folder.protection != "state":
            continue
        if "list" in folder.rights and _is_denied(partial(store.list, path, limit=1)):
            lacking.append(f"list {path}")
        if "read" in folder.rights and _is_denied(partial(store.get, f"{path}doctor-missing")):
            lacking.append(f"read {path} (a missing key has to be 404, not 403)")
    if lacking:
        return Finding(
            "wrong",
            "rights",
            f"{program} cannot {'; '.join(lacking)}.",
            f"Give it its policy: python -m infra.provision policies --service {program}",
        )
    return Finding("well", "rights", f"{program} can read and list all that it needs.")


def _tidying(store: ObjectStore, key: str, made: list[str]) -> Finding:
    made.append(key)
    store.create(key, b"doctor")
    if _is_denied(lambda: store.delete(key)):
        return Finding(
            "note",
            "tidying",
            "It cannot delete below probe/: a few small objects stay with every start.",
            "Let it delete there, in snapshots/, archive/ and segments/claims/; never in journal/.",
        )
    return Finding("well", "tidying", "It can remove what it made below probe/.")


def _journal(store: ObjectStore, key: str, program: str) -> Finding:
    if _is_denied(lambda: store.delete(key)):
        return Finding("well", "journal", f"{program} cannot delete in its journal.")
    return Finding(
        "wrong",
        "journal",
        f"{program} can delete in its journal: an entry that is deleted could be created anew, and"
        " history would fork.",
        "Take that right away: use credentials of its own, with its own policy.",
    )


def _others(store: ObjectStore, prefix: str, program: str, mark: str, made: list[str]) -> Finding:
    own = {folder.path for folder in folders_of(program)}
    can: list[str] = []
    for name in databases():
        theirs = f"{prefix}{name}/"
        if name != program and f"{name}/journal/" not in own:
            if _can_read(store, f"{theirs}{_ENTRY}"):
                can.append(f"read {name}'s journal")
            if not _is_denied(partial(store.list, theirs, limit=1)):
                can.append(f"list what {name} has")
        if name != program:
            key = f"{theirs}probe/{mark}"
            if not _is_denied(partial(store.create, key, b"doctor")):
                made.append(key)
                can.append(f"write at {name}'s")
    if can:
        return Finding(
            "wrong",
            "others' objects",
            f"{program} can {', '.join(can)}.",
            "Use credentials of its own for each program, with its own policy.",
        )
    return Finding("well", "others' objects", f"{program} reaches nothing of the others.")


def _policy(admin: S3Admin) -> Finding:
    if _is_denied(lambda: admin.send_policy("no policy")):
        return Finding("well", "bucket", "These credentials cannot change the bucket's policy.")
    return Finding(
        "wrong",
        "bucket",
        "These credentials may change the bucket's policy, and so give themselves every right.",
        "Keep an operator's credentials apart from the programs'.",
    )


def _can_read(store: ObjectStore, key: str) -> bool:
    try:
        store.get(key)
    except (Absent, Denied):
        return False
    return True


def _is_denied(act: Callable[[], object]) -> bool:
    """Whether the store refuses these credentials that. Raises Uncertain."""
    try:
        act()
    except Denied:
        return True
    except (Absent, Exists, Misconfigured):
        return False
    return False
