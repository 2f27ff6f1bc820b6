"""Provisioning, against stores that answer."""

import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from shared.clock import SystemClock
from shared.storage.objects import Denied, Misconfigured, Uncertain
from shared.storage.s3 import S3Address, S3Store, client
from shared.storage.s3_admin import S3Admin
from tests.support.moto import MotoServer
from tests.support.seaweed import SeaweedServer
from tests.support.seaweed import address as in_seaweed
from tests.support.stub_http import StubHttp, always, answer

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import LifecycleRuleTypeDef


@pytest.fixture(params=["moto", "seaweed"])
def address(request: pytest.FixtureRequest) -> S3Address:
    """A bucket that is not there yet."""
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    server: MotoServer | SeaweedServer = request.getfixturevalue(request.param)
    if isinstance(server, SeaweedServer):
        return in_seaweed(server, bucket)
    return S3Address(bucket, server.endpoint, access_key="any", secret_key="any")


def test_a_bucket_is_made_once(address: S3Address) -> None:
    admin = S3Admin(address)
    assert [admin.ensure_bucket(), admin.ensure_bucket()] == [True, False]
    with closing(S3Store(address, SystemClock())) as store:
        assert store.versioning() == "never"


def test_a_store_is_never_asked_through_a_proxy(
    moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody listens there
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    address = S3Address(bucket, moto.endpoint, access_key="any", secret_key="any")
    assert S3Admin(address).ensure_bucket()
    with closing(S3Store(address, SystemClock())) as store:
        assert store.versioning() == "never"


def test_a_bucket_is_made_in_its_region(moto: MotoServer) -> None:
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    address = S3Address(
        bucket, moto.endpoint, region="cn-north-1", access_key="any", secret_key="any"
    )
    assert S3Admin(address).ensure_bucket()
    assert client(address).get_bucket_location(Bucket=bucket)["LocationConstraint"] == "cn-north-1"


def test_the_rules_that_would_remove_entries_are_named(moto: MotoServer) -> None:
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    address = S3Address(bucket, moto.endpoint, access_key="any", secret_key="any")
    admin = S3Admin(address)
    admin.ensure_bucket()
    assert admin.removal_rules("commerce/journal/") == []
    client(address).put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                rule("all", ""),
                rule("above", "commerce/"),
                rule("inside", "commerce/journal/0000"),
                rule("beside", "commerce/snapshots/"),
                {"ID": "off", "Status": "Disabled", "Prefix": "", "Expiration": {"Days": 30}},
                {
                    "ID": "uploads",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                },
                {
                    **rule("tagged", ""),
                    "Filter": {"And": {"Prefix": "commerce/journal/", "Tags": []}},
                },
            ]
        },
    )
    assert admin.removal_rules("commerce/journal/") == ["all", "above", "inside", "tagged"]
    assert admin.removal_rules("health/journal/") == ["all"]


def rule(name: str, prefix: str) -> "LifecycleRuleTypeDef":
    return {
        "ID": name,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": 30},
    }


def test_a_bucket_that_may_not_be_seen_is_not_made(seaweed: SeaweedServer) -> None:
    stranger = S3Address("bucket", seaweed.endpoint, access_key="nobody", secret_key="nothing")
    with pytest.raises(Denied):
        S3Admin(stranger).ensure_bucket()


def test_a_name_that_belongs_to_others_is_misconfigured() -> None:
    taken = b"<Error><Code>BucketAlreadyExists</Code></Error>"

    with StubHttp(
        lambda request: [answer(404 if request.method == "HEAD" else 409, taken)]
    ) as server:
        address = S3Address("bucket", server.endpoint, access_key="any", secret_key="any")
        with pytest.raises(Misconfigured, match="BucketAlreadyExists"):
            S3Admin(address).ensure_bucket()


def test_a_store_that_is_down_is_uncertain() -> None:
    with StubHttp(always()) as server:
        address = S3Address("bucket", server.endpoint, access_key="any", secret_key="any")
        with pytest.raises(Uncertain):
            S3Admin(address).ensure_bucket()
