"""Provisioning makes a store fit for a journal, and refuses one that is not."""

import hashlib
from collections.abc import Iterator

import boto3
import pytest
from types_boto3_s3 import S3Client

from infra.provision import Unsafe, provision
from infra.services import SERVICES
from shared.clock import SystemClock
from shared.settings import StoreSettings
from shared.storage.objects import StoreError
from tests.support.moto import MotoServer

CLOCK = SystemClock()


@pytest.fixture
def server() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> str:
    """A name of this test's own: all of moto's servers in one process share their buckets."""
    return f"bucket-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"


@pytest.fixture
def settings(server: MotoServer, bucket: str) -> StoreSettings:
    return named(server, bucket)


@pytest.fixture
def s3(server: MotoServer) -> S3Client:
    """The store's operator, who may do to a bucket what a journal does not survive."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="operator",
        aws_secret_access_key="operator",
    )


def named(server: MotoServer, bucket: str, prefix: str = "") -> StoreSettings:
    return StoreSettings.from_environ(
        {
            "GANSU_ENV": "development",
            "GANSU_STORE_ENDPOINT": server.endpoint,
            "GANSU_STORE_BUCKET": bucket,
            "GANSU_STORE_PREFIX": prefix,
        }
    )


def rule(prefix: str, **more: object) -> dict[str, object]:
    return {
        "ID": "tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": 30},
        **more,
    }


def test_a_bucket_is_made_once(settings: StoreSettings, bucket: str, s3: S3Client) -> None:
    assert provision(settings, CLOCK)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.put_object(Bucket=bucket, Key="commerce/journal/1", Body=b"kept")
    assert not provision(settings, CLOCK)
    assert s3.get_object(Bucket=bucket, Key="commerce/journal/1")["Body"].read() == b"kept"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_a_bucket_that_ever_had_versions_is_refused(
    settings: StoreSettings, bucket: str, s3: S3Client, status: str
) -> None:
    s3.create_bucket(Bucket=bucket)
    for state in ("Enabled", status):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": state})  # type: ignore[typeddict-item]
    with pytest.raises(Unsafe, match=f"is {status.lower()}.*GANSU_STORE_BUCKET"):
        provision(settings, CLOCK)


@pytest.mark.parametrize("prefix", ["", "commerce/", "commerce/journal/", "commerce/journal/000"])
def test_a_rule_that_would_remove_entries_is_refused(
    settings: StoreSettings, bucket: str, s3: S3Client, prefix: str
) -> None:
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [rule(prefix)]},  # type: ignore[list-item]
    )
    # What is refused names the first journal that the rule would take from.
    first = "commerce" if prefix else SERVICES[0]
    with pytest.raises(Unsafe, match=f"{first}/journal/: tidy"):
        provision(settings, CLOCK)


@pytest.mark.parametrize("prefix", ["tourism/archive/", "tourism/archive/bookings/"])
def test_a_rule_that_would_remove_what_is_archived_is_refused(
    settings: StoreSettings, bucket: str, s3: S3Client, prefix: str
) -> None:
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [rule(prefix)]},  # type: ignore[list-item]
    )
    with pytest.raises(Unsafe, match="tourism/archive/: tidy"):
        provision(settings, CLOCK)


@pytest.mark.parametrize(
    "harmless",
    [
        rule("commerce/snapshots/"),
        rule("commerce/journal/", Status="Disabled"),
        {
            "ID": "tidy",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ],
    ids=["another prefix", "disabled", "abandoned uploads"],
)
def test_other_rules_are_the_operators_business(
    settings: StoreSettings, bucket: str, s3: S3Client, harmless: dict[str, object]
) -> None:
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [harmless]},  # type: ignore[list-item]
    )
    assert not provision(settings, CLOCK)


def test_a_prefix_is_part_of_where_the_journal_is(
    server: MotoServer, settings: StoreSettings, bucket: str, s3: S3Client
) -> None:
    elsewhere = named(server, bucket, "north/")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [rule("commerce/")]},  # type: ignore[list-item]
    )
    assert not provision(elsewhere, CLOCK)
    with pytest.raises(Unsafe):
        provision(settings, CLOCK)


def test_a_store_that_does_not_answer_is_an_error_of_the_store(bucket: str) -> None:
    with MotoServer() as gone:
        pass
    with pytest.raises(StoreError):
        provision(named(gone, bucket), CLOCK)
