"""Making a store fit for the platform: the bucket of the journals, made once, never unsafe.

`python -m infra.provision` does it with what the environment says of the store.

A bucket that ever had versioning, or whose lifecycle rules remove journal entries, is refused: an
entry's key that could be created again would let a stopped writer fork history. So is one whose
rules remove what has left for the archive: it would be found no more.
"""

import sys

from infra.services import SERVICES
from shared.clock import Clock, SystemClock
from shared.notices.outbox import database_of
from shared.settings import SettingsError, StoreSettings, load_store
from shared.storage.location import store_address
from shared.storage.objects import StoreError
from shared.storage.s3 import S3Store
from shared.storage.s3_admin import S3Admin


class Unsafe(Exception):  # noqa: N818 - a verdict
    """The bucket must not hold a journal; the message says why and what to do."""


def provision(settings: StoreSettings, clock: Clock) -> bool:
    """Make the state bucket unless it is there; whether it was made.

    Raises Unsafe, and `objects.StoreError` where the store does not answer or refuses.
    """
    address = store_address(settings)
    admin = S3Admin(address)
    made = admin.ensure_bucket()
    store = S3Store(address, clock)
    try:
        state = store.versioning()
    finally:
        store.close()
    if state != "never":
        raise Unsafe(
            f"Versioning of bucket {address.bucket} is {state}. A journal needs a bucket that was"
            " never versioned: name another by GANSU_STORE_BUCKET."
        )
    for database in (*SERVICES, *map(database_of, SERVICES)):
        for kept in ("journal", "archive"):
            _check_rules(admin, address.bucket, f"{settings.store_prefix}{database}/{kept}/")
    return made


def _check_rules(admin: S3Admin, bucket: str, folder: str) -> None:
    rules = admin.removal_rules(folder)
    if rules:
        raise Unsafe(
            f"Lifecycle rules of bucket {bucket} would remove objects of {folder}:"
            f" {', '.join(rules)}. Restrict them to other prefixes."
        )


def main() -> int:
    """Do it; the exit status."""
    try:
        made = provision(load_store({}), SystemClock())
    except (SettingsError, StoreError, Unsafe) as failure:
        print(f"Not done: {failure}", file=sys.stderr)
        return 1
    print("Made the bucket" if made else "The bucket is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
