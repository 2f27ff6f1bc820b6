"""Under moto's policy enforcement, each program with its policy does its work, and no more.

moto knows no conditions and no bucket policies of users: what hangs on those is asked of Ceph
(tests/system/test_least_privilege.py).
"""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.core.authorization import enable_iam_authentication

from infra.kinds import AWS
from infra.plan import Options
from infra.policies import Policies
from infra.provision import provision
from infra.rights import AUDITOR, programs
from infra.stores import user_of
from shared.clock import SystemClock
from shared.settings import StoreSettings
from shared.storage.location import Protection, store_address
from shared.storage.s3 import S3Store
from tests.support.duties import Duties, small_work
from tests.support.limits import ENTRY, trespasses
from tests.support.moto import MotoServer

CLOCK = SystemClock()
BUSY = ("commerce", "commerce-notices", AUDITOR)

Keys = dict[str, tuple[str, str]]


class Region:
    """An account of AWS's, as far as moto goes: buckets, a user for each program, policies."""

    def __init__(self, server: MotoServer) -> None:
        self.endpoint = server.endpoint
        self.keys: Keys = {}
        provision(self.settings(), CLOCK, Options(AWS))
        policies = Policies(self.settings(), AWS)
        for program in programs():
            self._add(user_of(program), self._known(policies.of_program(program)))

    def settings(self, program: str | None = None) -> StoreSettings:
        access, secret = self.keys[user_of(program)] if program else ("operator", "operator")
        return StoreSettings.from_environ(
            {
                "GANSU_ENV": "development",
                "GANSU_STORE_ENDPOINT": self.endpoint,
                "GANSU_STORE_BUCKET": "policies-state",
                "GANSU_KEYS_BUCKET": "policies-keys",
                "GANSU_MEDIA_BUCKET": "policies-media",
                "GANSU_AUDIT_BUCKET": "policies-audit",
                "GANSU_STORE_ACCESS_KEY": access,
                "GANSU_STORE_SECRET_KEY": secret,
            }
        )

    def client(self, service: Any, program: str | None = None) -> Any:
        settings = self.settings(program)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=settings.store_access_key,
            aws_secret_access_key=settings.store_secret_key,
        )

    def _add(self, user: str, policy: dict[str, Any]) -> None:
        iam = self.client("iam")
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=user)["AccessKey"]
        self.keys[user] = made["AccessKeyId"], made["SecretAccessKey"]

    @staticmethod
    def _known(policy: dict[str, Any]) -> dict[str, Any]:
        """What moto understands of it: it takes a condition for never true."""
        statements = []
        for statement in policy["Statement"]:
            kept = {name: value for name, value in statement.items() if name != "Condition"}
            if "Condition" not in statement or statement["Effect"] == "Allow":
                statements.append(kept)
        return {**policy, "Statement": statements}


@pytest.fixture(scope="module")
def region(moto: MotoServer) -> Iterator[Region]:
    made = Region(moto)
    with enable_iam_authentication():
        yield made


@pytest.fixture(scope="module")
def denied(region: Region, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What was denied to the programs while they did all their work."""
    with pytest.MonkeyPatch.context() as patch:
        small_work(patch)

        def opened(program: str, protection: Protection) -> S3Store:
            address = store_address(region.settings(program), protection)
            return S3Store(address, CLOCK, digests=protection == "audit")

        duties = Duties(opened, tmp_path_factory.mktemp("duties"))
        for program in BUSY:
            duties.fulfil(program)
    return duties.denied


def test_every_program_can_do_its_work(denied: list[str]) -> None:
    assert denied == []


@pytest.mark.usefixtures("denied")
@pytest.mark.parametrize("program", programs())
def test_no_program_can_do_more(region: Region, program: str) -> None:
    settings = region.settings(program)
    assert trespasses(region.client("s3", program), settings, program) == []


def test_commerce_cannot_read_healths_objects(region: Region) -> None:
    s3 = region.client("s3", "health")
    place = {"Bucket": region.settings().store_bucket, "Key": f"health/{ENTRY}"}
    s3.put_object(**place, Body=b"an entry")
    assert s3.get_object(**place)["Body"].read() == b"an entry"
    others = region.client("s3", "commerce")
    with pytest.raises(others.exceptions.ClientError, match="AccessDenied"):
        others.get_object(**place)
