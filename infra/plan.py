"""What provisioning would do: each bucket looked at, and a step for each thing about it.

A step is what is, what is to do, or what is refused because it cannot be put right:

- a state or keys bucket that ever had versioning. A journal's key that could be created again would
  let a stopped writer fork history, and an erased key has to be gone;
- a lifecycle rule that would remove what counts for good (`rights.Folder.kept`);
- an audit bucket without Object Lock, which a bucket has from its making or not at all;
- keys or pictures in the state's bucket though they have one of their own: they would not be found.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from typing import Literal

from infra import rights
from infra.kinds import Kind
from infra.policies import Policies, same
from shared.clock import Clock
from shared.settings import StoreSettings
from shared.storage.location import CLASSES, Protection, bucket_of, store_address
from shared.storage.objects import Exists, Misconfigured, ObjectStore
from shared.storage.s3 import S3Store
from shared.storage.s3_admin import Lock, S3Admin

AUDIT_LOCK = Lock("GOVERNANCE", 1095)
"""Three years: as long as an e-commerce platform keeps what was traded (电子商务法, article 31)."""

_NEVER_VERSIONED: dict[Protection, str] = {
    "state": "A journal needs a bucket that was never versioned.",
    "keys": "A key that is erased has to be gone.",
}
_SETTINGS = {"state": "GANSU_STORE_BUCKET", "keys": "GANSU_KEYS_BUCKET"}

State = Literal["is", "to do", "refused"]


@dataclass(frozen=True, slots=True)
class Options:
    """What is wanted beside what the settings name. With `principal` policies are set, by which an
    `operator` may read everything; `moves` lets keys and pictures be moved to buckets of their own.
    """

    kind: Kind
    principal: str | None = None
    operator: str = ""
    lock: Lock = AUDIT_LOCK
    moves: bool = False


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing about one bucket. `do` may be run again, and beside another that does it."""

    bucket: str
    state: State
    says: str
    do: Callable[[], object] = _nothing


def planned(settings: StoreSettings, clock: Clock, options: Options) -> list[Step]:
    """All that there is to say, in the order in which it is to be done. Changes nothing.

    Raises `objects.StoreError`, and ValueError where the buckets' names contradict each other.
    """
    others = [bucket_of(settings, protection) for protection in CLASSES if protection != "audit"]
    if settings.audit_bucket in others:
        raise ValueError("GANSU_AUDIT_BUCKET is a bucket of its own: Object Lock has versioning")
    plan = _Plan(settings, clock, options)
    steps = [step for bucket in plan.buckets() for step in plan.of_bucket(bucket)]
    return [*steps, *plan.moves()]


class _Plan:
    def __init__(self, settings: StoreSettings, clock: Clock, options: Options) -> None:
        self._settings = settings
        self._clock = clock
        self._options = options
        self._policies = Policies(settings, options.kind)
        self._made: set[str] = set()

    def buckets(self) -> list[str]:
        """Each bucket once, the state's first."""
        named = (bucket_of(self._settings, protection) for protection in CLASSES)
        return list(dict.fromkeys(bucket for bucket in named if bucket))

    def of_bucket(self, bucket: str) -> Iterator[Step]:
        classes = [each for each in CLASSES if bucket_of(self._settings, each) == bucket]
        admin = S3Admin(store_address(self._settings, classes[0]))
        is_there, locked = admin.exists(), "audit" in classes
        how = " with Object Lock" if locked else ""
        said = f"the bucket of {', '.join(classes)}{how}"
        if is_there:
            self._made.add(bucket)
            yield Step(bucket, "is", said)
            yield from self._versioning(bucket, classes)
            yield from self._removal(bucket, admin, classes)
        else:
            make = partial(admin.ensure_bucket, locked=locked)
            yield Step(bucket, "to do", f"make {said}", make)
        if locked:
            yield from self._lock(bucket, admin, is_there=is_there)
        yield from self._public(bucket, admin, is_there=is_there)
        yield from self._encryption(bucket, admin, is_there=is_there)
        yield from self._policy(bucket, admin, is_there=is_there)

    def _versioning(self, bucket: str, classes: list[Protection]) -> Iterator[Step]:
        with self._opened(classes[0]) as store:
            state = store.versioning()
        if state == "never":
            yield Step(bucket, "is", "never versioned")
            return
        for protection, why in _NEVER_VERSIONED.items():
            if protection in classes:
                yield Step(
                    bucket,
                    "refused",
                    f"Versioning of bucket {bucket} is {state}. {why} Versioning cannot be taken"
                    f" back: name another by {_SETTINGS[protection]}.",
                )
                return
        yield Step(bucket, "is", f"versioning {state}")

    def _removal(self, bucket: str, admin: S3Admin, classes: list[Protection]) -> Iterator[Step]:
        kept = [path for protection in classes for path in rights.kept_folders(protection)]
        for folder in (f"{self._settings.store_prefix}{path}" for path in kept):
            rules = admin.removal_rules(folder)
            if rules:
                yield Step(
                    bucket,
                    "refused",
                    f"Lifecycle rules of bucket {bucket} would remove objects of {folder}:"
                    f" {', '.join(rules)}. Restrict them to other prefixes.",
                )
                return
        yield Step(bucket, "is", "no lifecycle rule removes what counts for good")

    def _lock(self, bucket: str, admin: S3Admin, *, is_there: bool) -> Iterator[Step]:
        found = admin.lock() if is_there else Lock()
        wanted = self._options.lock
        if found is None:
            yield Step(
                bucket,
                "refused",
                f"Bucket {bucket} has no Object Lock, which is set when a bucket is made: name"
                " another by GANSU_AUDIT_BUCKET.",
            )
        elif found.covers(wanted):
            yield Step(bucket, "is", f"objects locked for {found.days} days, {found.mode}")
        else:
            said = f"lock objects for {wanted.days} days, {wanted.mode}"
            yield Step(bucket, "to do", said, partial(admin.set_lock, wanted))

    def _public(self, bucket: str, admin: S3Admin, *, is_there: bool) -> Iterator[Step]:
        if not self._options.kind.closes_public:
            return
        if is_there and admin.is_closed_to_public():
            yield Step(bucket, "is", "closed to the public")
        else:
            yield Step(bucket, "to do", "close it to the public", admin.close_to_public)

    def _encryption(self, bucket: str, admin: S3Admin, *, is_there: bool) -> Iterator[Step]:
        if not self._options.kind.encrypts:
            return
        found = admin.encryption() if is_there else ""
        if found:
            yield Step(bucket, "is", f"encrypted by {found}")
        else:
            yield Step(bucket, "to do", "encrypt by AES256", admin.set_encryption)

    def _policy(self, bucket: str, admin: S3Admin, *, is_there: bool) -> Iterator[Step]:
        if self._options.principal is None:
            return
        wanted = self._policies.of_bucket(bucket, self._options.principal, self._options.operator)
        if is_there and same(admin.policy(), wanted):
            yield Step(bucket, "is", "its policy says what each program may do")
        else:
            said = "set its policy: what each program may do"
            yield Step(bucket, "to do", said, partial(admin.set_policy, wanted))

    def moves(self) -> Iterator[Step]:
        """What lies in the state's bucket and has another by now."""
        state = bucket_of(self._settings, "state")
        if state not in self._made:
            return
        for service, beside in rights.beside():
            bucket = bucket_of(self._settings, beside.protection)
            folder = f"{self._settings.store_prefix}{service}/{beside.folder}/"
            if bucket == state:
                continue
            with self._opened("state") as store:
                is_empty = not store.list(folder, limit=1)
            if is_empty:
                continue
            if self._options.moves:
                do = partial(self._move, folder, beside.protection)
                yield Step(bucket, "to do", f"move {folder} of {state} here", do)
            else:
                yield Step(
                    bucket,
                    "refused",
                    f"{folder} lies in bucket {state}, and {service} would look for it in"
                    f" {bucket}: stop {service} and run this with --move.",
                )

    def _move(self, folder: str, protection: Protection) -> None:
        with self._opened("state") as source, self._opened(protection) as target:
            move(source, target, folder)

    def _opened(self, protection: Protection) -> AbstractContextManager[S3Store]:
        return closing(S3Store(store_address(self._settings, protection), self._clock))


def move(source: ObjectStore, target: ObjectStore, folder: str) -> None:
    """Move every object below `folder` to another bucket; one at a time, each stored there before
    it is removed here, so that it may be interrupted and run again.
    """
    while page := source.list(folder):
        for info in page:
            content = source.get(info.key)
            try:
                target.create(info.key, content)
            except Exists:
                if target.get(info.key) != content:
                    raise Misconfigured(f"{info.key} is in both buckets, not alike") from None
            source.delete(info.key)
