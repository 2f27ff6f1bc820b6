"""On Ceph, under the policies that provisioning sets: every program does its work, and no more."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import boto3
import pytest
from types_boto3_s3 import S3Client

from infra import provision
from infra.credentials import Credentials
from infra.doctor.__main__ import main as examine
from infra.kinds import CEPH
from infra.layout import Layout
from infra.plan import Options, planned
from infra.programs import ROOT, Plan, service_environment
from infra.rights import AUDITOR, databases, programs
from infra.services import SERVICES
from infra.stores import user_of
from shared.clock import SystemClock
from shared.settings import StoreSettings
from shared.storage.location import Protection, store_address
from shared.storage.s3 import S3Store
from tests.support.ceph import CephServer
from tests.support.duties import Duties, small_work
from tests.support.limits import ENTRY, is_refused, trespasses
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY

CLOCK = SystemClock()
SECRET = "secret-of-one-program"
OPTIONS = Options(CEPH, principal=CEPH.principal, operator="arn:aws:iam:::user/test")
BUSY = (*SERVICES, "commerce-notices", AUDITOR)


class Town:
    """The platform's buckets in one Ceph, with their policies, and whose credentials there are."""

    def __init__(self, server: CephServer) -> None:
        own = uuid.uuid4().hex[:8]
        self._shared = {
            "GANSU_ENV": "development",
            "GANSU_STORE_ENDPOINT": server.endpoint,
            "GANSU_STORE_BUCKET": f"state-{own}",
            "GANSU_KEYS_BUCKET": f"keys-{own}",
            "GANSU_MEDIA_BUCKET": f"media-{own}",
            "GANSU_AUDIT_BUCKET": f"audit-{own}",
        }
        assert provision.provision(self.settings(), CLOCK, OPTIONS)

    def environment(self, program: str | None = None) -> dict[str, str]:
        """A program's, or the operator's."""
        access, secret = (user_of(program), SECRET) if program else (ACCESS_KEY, SECRET_KEY)
        own = {"GANSU_STORE_ACCESS_KEY": access, "GANSU_STORE_SECRET_KEY": secret}
        return {**self._shared, **own}

    def settings(self, program: str | None = None) -> StoreSettings:
        return StoreSettings.from_environ(self.environment(program))

    def client(self, program: str | None = None) -> S3Client:
        settings = self.settings(program)
        return boto3.client(
            "s3",
            endpoint_url=settings.store_endpoint,
            region_name="us-east-1",
            aws_access_key_id=settings.store_access_key,
            aws_secret_access_key=settings.store_secret_key,
        )


@pytest.fixture(scope="module")
def users(ceph: CephServer) -> CephServer:
    """Ceph, with a user for each program that may make no bucket."""
    for program in programs():
        ceph.add_user(user_of(program), user_of(program), SECRET, "--max-buckets=-1")
    return ceph


@pytest.fixture(scope="module")
def town(users: CephServer) -> Town:
    return Town(users)


@pytest.fixture(scope="module")
def denied(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What was denied to the programs while they did all their work."""
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
        small_work(patch)

        def opened(program: str, protection: Protection) -> S3Store:
            address = store_address(town.settings(program), protection)
            store = S3Store(address, CLOCK, digests=protection == "audit")
            ends.callback(store.close)
            return store

        duties = Duties(opened, tmp_path_factory.mktemp("duties"))
        for program in BUSY:
            duties.fulfil(program)
        for name in databases():
            if name not in BUSY:
                key = f"{name}/{ENTRY}"
                bucket = town.settings().store_bucket
                town.client().put_object(Bucket=bucket, Key=key, Body=b"an entry")
        yield duties.denied


def test_provisioning_again_finds_nothing_to_do(town: Town) -> None:
    steps = planned(town.settings(), CLOCK, OPTIONS)
    assert {step.state for step in steps} == {"is"}


def test_every_program_can_do_its_work(town: Town, denied: list[str]) -> None:
    assert denied == []
    s3, settings = town.client(), town.settings()

    def keys(bucket: str, prefix: str = "") -> list[str]:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [row["Key"] for row in found.get("Contents", [])]

    for service in SERVICES:
        # What was superseded is gone, as is what the probe made.
        assert keys(settings.store_bucket, f"{service}/probe/") == []
        assert len(keys(settings.store_bucket, f"{service}/snapshots/0")) == 2
        assert len(keys(settings.store_bucket, f"{service}/archive/orders/")) == 1
        assert keys(settings.audit_bucket, f"{service}/segments/")
    assert keys(settings.keys_bucket) == ["identity/keys/account_2"]
    # One picture is left, in its three sizes.
    found = [key.rsplit("/", 1) for key in keys(settings.media_bucket)]
    assert [size for _, size in found] == ["1080.webp", "160.webp", "480.webp"]
    [shown] = {folder for folder, _ in found}
    assert shown.startswith("commerce/pictures/picture_")


@pytest.mark.usefixtures("denied")
@pytest.mark.parametrize("program", programs())
def test_no_program_can_do_more(town: Town, program: str) -> None:
    assert trespasses(town.client(program), town.settings(), program) == []


@pytest.mark.usefixtures("denied")
def test_commerce_cannot_read_healths_objects_nor_list_them(town: Town) -> None:
    s3, bucket = town.client("commerce"), town.settings().store_bucket
    held = town.client().list_objects_v2(Bucket=bucket, Prefix="health/")["Contents"]
    assert len(held) > 10
    for row in held:
        assert is_refused(partial(s3.get_object, Bucket=bucket, Key=row["Key"]))
        assert is_refused(partial(s3.head_object, Bucket=bucket, Key=row["Key"]))
    assert is_refused(partial(s3.list_objects_v2, Bucket=bucket, Prefix="health/"))
    own = s3.list_objects_v2(Bucket=bucket, Prefix="commerce/journal/")["Contents"]
    assert not any(is_refused(partial(s3.get_object, Bucket=bucket, Key=r["Key"])) for r in own)


@pytest.mark.usefixtures("denied")
def test_not_even_the_operator_deletes_in_a_journal_while_the_policy_stands(town: Town) -> None:
    s3, bucket = town.client(), town.settings().store_bucket
    assert is_refused(partial(s3.delete_object, Bucket=bucket, Key=f"commerce/{ENTRY}"))


@pytest.mark.usefixtures("denied")
def test_what_is_audited_outlives_its_deletion(town: Town) -> None:
    s3, bucket = town.client(), town.settings().audit_bucket
    [row, *_] = s3.list_object_versions(Bucket=bucket, Prefix="commerce/")["Versions"]
    key, version = row["Key"], row["VersionId"]
    assert is_refused(partial(s3.delete_object, Bucket=bucket, Key=key, VersionId=version))
    s3.delete_object(Bucket=bucket, Key=key)  # leaves a marker, which hides it
    found = s3.get_object(Bucket=bucket, Key=key, VersionId=version)
    assert found["ContentLength"] == row["Size"]


@pytest.mark.usefixtures("denied")
@pytest.mark.parametrize("program", [None, "commerce", "health-notices", AUDITOR])
def test_the_doctor_finds_nothing_wrong(
    town: Town,
    program: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in town.environment(program).items():
        monkeypatch.setenv(name, value)
    arguments = ["--service", program] if program else ["--store", "ceph"]
    assert examine(arguments) == 0, capsys.readouterr().out
    assert "stay" not in capsys.readouterr().out


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_plants_its_samples_with_its_own_credentials(
    users: CephServer, service: str, tmp_path: Path
) -> None:
    town = Town(users)
    plan = Plan(Layout(tmp_path), Credentials("a", "b", "c" * 64), port=8080)
    told = {**service_environment(plan, service, service), **town.environment(service)}
    done = subprocess.run(
        [sys.executable, "-m", f"infra.seeds.{service}"],
        cwd=ROOT,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Planted" in done.stdout
    assert "denies" not in done.stderr
