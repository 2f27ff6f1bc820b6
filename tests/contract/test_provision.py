"""Provisioning makes a store fit for a journal, and refuses one that is not."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from moto.core.authorization import enable_iam_authentication
from types_boto3_s3 import S3Client

from infra.kinds import AWS, OTHER, SEAWEEDFS
from infra.plan import AUDIT_LOCK, Options, move, planned
from infra.provision import Unsafe, main, provision
from infra.rights import AUDITOR
from infra.services import SERVICES
from shared.clock import SystemClock
from shared.settings import StoreSettings
from shared.storage.memory import MemoryStore, refuse
from shared.storage.objects import Denied, Misconfigured, StoreError
from shared.storage.s3_admin import Lock, S3Admin
from tests.support.moto import MotoServer
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer

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


def named(
    server: MotoServer, bucket: str, prefix: str = "", more: Mapping[str, str] | None = None
) -> StoreSettings:
    return StoreSettings.from_environ(environment(server, bucket, prefix, more))


def environment(
    server: MotoServer, bucket: str, prefix: str = "", more: Mapping[str, str] | None = None
) -> dict[str, str]:
    return {
        "GANSU_ENV": "development",
        "GANSU_STORE_ENDPOINT": server.endpoint,
        "GANSU_STORE_BUCKET": bucket,
        "GANSU_STORE_PREFIX": prefix,
        **(more or {}),
    }


def four(bucket: str) -> dict[str, str]:
    """A bucket for each class."""
    return {
        f"GANSU_{name}_BUCKET": f"{bucket}-{name.lower()}" for name in ("KEYS", "MEDIA", "AUDIT")
    }


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


# Classes


@pytest.fixture
def apart(server: MotoServer, bucket: str) -> StoreSettings:
    return named(server, bucket, more=four(bucket))


def told(settings: StoreSettings, options: Options | None = None) -> list[str]:
    return [f"{s.state} {s.says}" for s in planned(settings, CLOCK, options or Options(OTHER))]


def test_each_class_has_its_bucket_and_only_the_audits_has_versions_and_a_lock(
    apart: StoreSettings, bucket: str, s3: S3Client
) -> None:
    assert provision(apart, CLOCK)
    for other in ("", "-keys", "-media"):
        assert "Status" not in s3.get_bucket_versioning(Bucket=bucket + other)
    audit = f"{bucket}-audit"
    assert s3.get_bucket_versioning(Bucket=audit)["Status"] == "Enabled"
    rule = s3.get_object_lock_configuration(Bucket=audit)["ObjectLockConfiguration"]["Rule"]
    assert rule["DefaultRetention"]["Mode"] == "GOVERNANCE"
    assert rule["DefaultRetention"]["Days"] == AUDIT_LOCK.days
    assert not provision(apart, CLOCK)


def test_a_plan_says_it_and_changes_nothing(
    apart: StoreSettings, bucket: str, s3: S3Client
) -> None:
    said = told(apart)
    assert "to do make the bucket of audit with Object Lock" in said
    assert not any(each.startswith("is") for each in said)
    assert [b for b in s3.list_buckets()["Buckets"] if b["Name"].startswith(bucket)] == []
    provision(apart, CLOCK)
    assert all(each.startswith("is") for each in told(apart))


def test_one_bucket_serves_an_installation_that_names_no_other(
    settings: StoreSettings, bucket: str, s3: S3Client
) -> None:
    provision(settings, CLOCK)
    assert told(settings)[0] == "is the bucket of state, keys, media"
    s3.put_object(Bucket=bucket, Key="identity/keys/account_1", Body=b"key")
    assert not provision(settings, CLOCK)


def test_two_at_once_are_harmless(apart: StoreSettings) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: provision(apart, CLOCK, Options(AWS)), range(4)))
    assert all(each.startswith("is") for each in told(apart, Options(AWS)))


def test_what_failed_halfway_is_done_by_the_next(
    apart: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("of a test")

    with monkeypatch.context() as patch:
        patch.setattr(S3Admin, "set_lock", fail)
        with pytest.raises(StoreError):
            provision(apart, CLOCK)
    assert [each for each in told(apart) if each.startswith("to do")] == [
        "to do lock objects for 1095 days, GOVERNANCE"
    ]
    assert provision(apart, CLOCK)
    assert not provision(apart, CLOCK)


def test_on_aws_buckets_are_closed_and_encrypted(
    apart: StoreSettings, bucket: str, s3: S3Client
) -> None:
    assert provision(apart, CLOCK, Options(AWS))
    for other in ("", "-keys", "-media", "-audit"):
        block = s3.get_public_access_block(Bucket=bucket + other)["PublicAccessBlockConfiguration"]
        assert set(block.values()) == {True}
        rules = s3.get_bucket_encryption(Bucket=bucket + other)["ServerSideEncryptionConfiguration"]
        assert rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert not provision(apart, CLOCK, Options(AWS))


def test_a_lock_is_made_stricter_and_never_weaker(apart: StoreSettings) -> None:
    provision(apart, CLOCK)
    stricter = Options(OTHER, lock=Lock("COMPLIANCE", 2000))
    assert "to do lock objects for 2000 days, COMPLIANCE" in told(apart, stricter)
    assert provision(apart, CLOCK, stricter)
    for weaker in (AUDIT_LOCK, Lock("COMPLIANCE", 1)):
        assert not provision(apart, CLOCK, Options(OTHER, lock=weaker))


def test_an_audit_bucket_without_a_lock_is_refused(
    apart: StoreSettings, bucket: str, s3: S3Client
) -> None:
    s3.create_bucket(Bucket=f"{bucket}-audit")
    with pytest.raises(Unsafe, match=r"no Object Lock.*GANSU_AUDIT_BUCKET"):
        provision(apart, CLOCK)
    # What is refused keeps everything else from being made.
    assert [b["Name"] for b in s3.list_buckets()["Buckets"] if bucket in b["Name"]] == [
        f"{bucket}-audit"
    ]


def test_a_keys_bucket_with_versions_is_refused(
    apart: StoreSettings, bucket: str, s3: S3Client
) -> None:
    s3.create_bucket(Bucket=f"{bucket}-keys")
    on = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=f"{bucket}-keys", VersioningConfiguration=on)  # type: ignore[arg-type]
    with pytest.raises(Unsafe, match=r"erased has to be gone.*GANSU_KEYS_BUCKET"):
        provision(apart, CLOCK)


@pytest.mark.parametrize("kind", ["keys", "media"])
def test_a_rule_that_would_remove_keys_or_pictures_is_refused(
    apart: StoreSettings, bucket: str, s3: S3Client, kind: str
) -> None:
    provision(apart, CLOCK)
    s3.put_bucket_lifecycle_configuration(
        Bucket=f"{bucket}-{kind}",
        LifecycleConfiguration={"Rules": [rule("")]},  # type: ignore[list-item]
    )
    with pytest.raises(Unsafe, match="tidy"):
        provision(apart, CLOCK)


def test_the_audits_bucket_is_one_of_its_own(server: MotoServer, bucket: str) -> None:
    shared = named(server, bucket, more={"GANSU_AUDIT_BUCKET": bucket})
    with pytest.raises(ValueError, match="a bucket of its own"):
        provision(shared, CLOCK)


def test_keys_and_pictures_are_moved_to_buckets_of_their_own(
    server: MotoServer, settings: StoreSettings, apart: StoreSettings, bucket: str, s3: S3Client
) -> None:
    provision(settings, CLOCK)
    moved = {"identity/keys/a": b"key", "commerce/pictures/p/160.webp": b"picture"}
    for key, body in {**moved, "identity/journal/1": b"entry"}.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    with pytest.raises(Unsafe, match="stop identity and run this with --move"):
        provision(apart, CLOCK)
    provision(apart, CLOCK, Options(OTHER, moves=True))
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [
        "identity/journal/1"
    ]
    for (key, body), place in zip(moved.items(), ("keys", "media"), strict=True):
        assert s3.get_object(Bucket=f"{bucket}-{place}", Key=key)["Body"].read() == body
    assert not provision(apart, CLOCK)


def test_a_move_that_was_interrupted_goes_on_and_loses_nothing() -> None:
    source, target = MemoryStore(), MemoryStore()
    for number in range(3):
        source.create(f"identity/keys/{number}", b"%d" % number)
    source.inject("delete", refuse(Denied("of a test")), key="identity/keys/1")
    with pytest.raises(Denied):
        move(source, target, "identity/keys/")
    move(source, target, "identity/keys/")
    assert source.list("") == []
    assert [target.get(f"identity/keys/{number}") for number in range(3)] == [b"0", b"1", b"2"]


def test_a_move_replaces_nothing() -> None:
    source, target = MemoryStore(), MemoryStore()
    source.create("identity/keys/1", b"old")
    target.create("identity/keys/1", b"another")
    with pytest.raises(Misconfigured, match="not alike"):
        move(source, target, "identity/keys/")
    assert source.get("identity/keys/1") == b"old"


# The command


@pytest.fixture
def given(server: MotoServer, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(server, bucket, more=four(bucket)).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("given")
def test_the_exit_status_says_whether_there_is_something_to_do(
    bucket: str, s3: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--plan"]) == 3
    assert f"to do     {bucket}: make the bucket of state" in capsys.readouterr().out
    assert main([]) == 0
    assert main(["--plan"]) == 0
    lock = ["--audit-mode", "compliance", "--audit-days", "2000"]
    assert main(["--plan", *lock]) == 3
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [rule("")]},  # type: ignore[list-item]
    )
    assert main(lock) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert main(["--plan"]) == 1


@pytest.mark.usefixtures("given")
def test_policies_are_set_where_asked_for(
    bucket: str, s3: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--policies"]) == 2
    assert "--principal" in capsys.readouterr().err
    assert main(["--policies", "--principal", "arn:of:nobody"]) == 2
    principal = "arn:aws:iam::123456789012:role/gansu-{program}"
    assert main(["--policies", "--store", "seaweedfs"]) == 0
    assert main(["--policies", "--store", "seaweedfs", "--plan"]) == 0
    assert main(["--policies", "--principal", principal, "--operator", "arn:o", "--plan"]) == 3
    assert main(["--policies", "--principal", principal, "--operator", "arn:o"]) == 0
    said = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    whom = [each["Principal"] for each in said["Statement"]]
    assert {"AWS": ["arn:aws:iam::123456789012:role/gansu-commerce"]} in whom
    assert {"AWS": ["arn:o"]} in whom


@pytest.mark.usefixtures("given")
def test_policies_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", "--service", "commerce"]) == 0
    assert "commerce/journal/*" in json.dumps(json.loads(capsys.readouterr().out))
    assert main(["policies"]) == 0
    assert AUDITOR in json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("given")
def test_who_is_not_let_in_is_told_whose_credentials_it_takes(
    bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with enable_iam_authentication():
        assert main(["--plan"]) == 2
    said = capsys.readouterr().err
    assert f"bucket {bucket}: 403. " in said  # once: a HEAD's answer has no code of its own
    assert "credentials of an operator" in said


def test_a_store_that_is_away_is_not_done(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with MotoServer() as gone:
        pass
    for name, value in environment(gone, bucket).items():
        monkeypatch.setenv(name, value)
    assert main([]) == 2
    assert "does not answer" in capsys.readouterr().err
    monkeypatch.setenv("GANSU_STORE_BUCKET", "No Bucket")
    assert main([]) == 2


def test_seaweedfs_takes_all_of_it(seaweed: SeaweedServer, bucket: str) -> None:
    settings = StoreSettings.from_environ(
        {
            "GANSU_ENV": "development",
            "GANSU_STORE_ENDPOINT": seaweed.endpoint,
            "GANSU_STORE_ACCESS_KEY": ACCESS_KEY,
            "GANSU_STORE_SECRET_KEY": SECRET_KEY,
            "GANSU_STORE_BUCKET": bucket,
            **four(bucket),
        }
    )
    options = Options(SEAWEEDFS, principal=SEAWEEDFS.principal)
    assert provision(settings, CLOCK, options)
    assert not provision(settings, CLOCK, options)
