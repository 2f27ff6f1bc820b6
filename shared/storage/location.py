"""From settings to the buckets: one for each class of protection.

- `state`: journals and all that is derived from them. It never had versioning.
- `keys`: wrapped keys, whose removal is what makes a person's data unreadable. Versions would keep
  what was erased, so it has none either.
- `media`: pictures.
- `audit`: copies of the journals under Object Lock, which nobody can change (`trail.py`).

An installation of one bucket has keys and media in the state's, as before there were classes
(docs/decisions/0110). The audit's is a bucket of its own or none.
"""

from dataclasses import dataclass
from typing import Literal, cast

from shared.settings import StoreSettings
from shared.storage.s3 import CreateCondition, S3Address

Protection = Literal["state", "keys", "media", "audit"]
CLASSES: tuple[Protection, ...] = ("state", "keys", "media", "audit")


@dataclass(frozen=True, slots=True)
class Beside:
    """Objects that a service keeps beside its journal, under `‹service›/‹folder›/`."""

    folder: str
    protection: Protection


KEYS = Beside("keys", "keys")
PICTURES = Beside("pictures", "media")


def bucket_of(settings: StoreSettings, protection: Protection) -> str:
    """The bucket of a class; empty where there is none."""
    if protection == "audit":
        return settings.audit_bucket
    own = {"state": "", "keys": settings.keys_bucket, "media": settings.media_bucket}[protection]
    return own or settings.store_bucket


def store_address(settings: StoreSettings, protection: Protection = "state") -> S3Address:
    """Where the bucket of a class is."""
    return S3Address(
        bucket=bucket_of(settings, protection),
        endpoint_url=settings.store_endpoint or None,
        region=settings.store_region,
        access_key=settings.store_access_key or None,
        secret_key=settings.store_secret_key or None,
        condition=cast(CreateCondition, settings.store_profile),
        ca_file=settings.store_ca_file,
    )
