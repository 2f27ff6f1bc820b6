"""What a program must not be able to do in a store, each tried with its own credentials.

    assert trespasses(s3, settings, "commerce") == []

A line says what went through. What is tried would do harm if it did, so it is tried on the tests'
own buckets alone. Every journal has to have an entry 1, `Duties` has to have left its keys and
pictures.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from types_boto3_s3 import S3Client

from infra.rights import AUDITOR, databases, folders_of
from shared.settings import StoreSettings
from shared.storage.location import CLASSES, Protection, bucket_of

ENTRY = "journal/00000000000000000001.json"

_BESIDE: tuple[tuple[Protection, str, str], ...] = (
    ("keys", "identity/keys/account_2", "identity"),
    ("media", "commerce/pictures/second/160.webp", "commerce"),
)

_EXPIRING: Any = {
    "Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
}

Act = Callable[[], object]
Tried = Iterator[tuple[str, Act]]


def trespasses(s3: S3Client, settings: StoreSettings, program: str) -> list[str]:
    """What a program could do and must not; `s3` has its credentials."""
    tried = [*_in_journals(s3, settings, program), *_elsewhere(s3, settings, program)]
    return [what for what, act in [*tried, *_to_buckets(s3, settings)] if not is_refused(act)]


def is_refused(act: Act) -> bool:
    """Whether the store denies it. Raises ClientError where it fails for another reason."""
    try:
        answer = act()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return True
    # A store may answer 200 and say in the body what it did not delete.
    return isinstance(answer, dict) and bool(answer.get("Errors"))


def _in_journals(s3: S3Client, settings: StoreSettings, program: str) -> Tried:
    bucket = bucket_of(settings, "state")
    readable = {folder.path for folder in folders_of(program) if "read" in folder.rights}
    for name in databases():
        key = f"{settings.store_prefix}{name}/{ENTRY}"
        several: Any = {"Objects": [{"Key": key}]}
        yield f"delete {key}", partial(s3.delete_object, Bucket=bucket, Key=key)
        yield f"delete {key} with others", partial(s3.delete_objects, Bucket=bucket, Delete=several)
        if f"{name}/journal/" not in readable:
            yield f"read {key}", partial(s3.get_object, Bucket=bucket, Key=key)
        if name != program:
            new = f"{key}.new"
            yield f"write {new}", partial(s3.put_object, Bucket=bucket, Key=new, Body=b"x")


def _elsewhere(s3: S3Client, settings: StoreSettings, program: str) -> Tried:
    for protection, name, whose in _BESIDE:
        if program != whose:
            bucket, key = bucket_of(settings, protection), f"{settings.store_prefix}{name}"
            yield f"read {key}", partial(s3.get_object, Bucket=bucket, Key=key)
            yield f"write {key}", partial(s3.put_object, Bucket=bucket, Key=key, Body=b"x")
            yield f"delete {key}", partial(s3.delete_object, Bucket=bucket, Key=key)
    audit = bucket_of(settings, "audit")
    key = f"{settings.store_prefix}commerce/segments/of-a-test"
    yield f"delete {key}", partial(s3.delete_object, Bucket=audit, Key=key)
    if program != AUDITOR:
        yield f"write {key}", partial(s3.put_object, Bucket=audit, Key=key, Body=b"x")


def _to_buckets(s3: S3Client, settings: StoreSettings) -> Tried:
    yield "make a bucket", partial(s3.create_bucket, Bucket="a-bucket-of-its-own")
    for bucket in sorted({bucket_of(settings, protection) for protection in CLASSES}):
        on: Any = {"Status": "Enabled"}
        versioning = partial(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=on)
        yield f"versioning of {bucket}", versioning
        lifecycle = partial(
            s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=_EXPIRING
        )
        yield f"lifecycle of {bucket}", lifecycle
        yield f"policy of {bucket}", partial(s3.put_bucket_policy, Bucket=bucket, Policy="{}")
        public = partial(s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
        yield f"access list of {bucket}", public
        yield f"delete {bucket}", partial(s3.delete_bucket, Bucket=bucket)
