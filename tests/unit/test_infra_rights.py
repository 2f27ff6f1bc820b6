"""The table of rights holds what the programs ask of a store: no less, and no more."""

import json

import pytest

from infra import rights
from infra.kinds import AWS, CEPH, KINDS, SEAWEEDFS, kind_of
from infra.policies import Policies, same
from infra.rights import AUDITOR, Folder, databases, folders_of, kept_folders, programs
from infra.services import SERVICES
from shared.settings import StoreSettings
from shared.storage.location import CLASSES, Protection, bucket_of
from shared.storage.memory import MemoryBucket, MemoryStore
from tests.support.duties import Duties, small_work

Asked = set[tuple[Protection, str, str]]

APART = {
    "GANSU_ENV": "development",
    "GANSU_KEYS_BUCKET": "gansu-keys",
    "GANSU_MEDIA_BUCKET": "gansu-media",
    "GANSU_AUDIT_BUCKET": "gansu-audit",
}
SETTINGS = StoreSettings.from_environ(APART)

BUSY = ("identity", "commerce", "commerce-notices", AUDITOR)
"""Who is watched at work. The other services and notifiers have the same rows, but for theirs."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asked]:
    """What each program asked of the buckets while it did all that it does."""
    buckets = {protection: MemoryBucket() for protection in CLASSES}
    duties = Duties(
        lambda _program, protection: MemoryStore(buckets[protection]),
        tmp_path_factory.mktemp("duties"),
    )
    with pytest.MonkeyPatch.context() as patch:
        small_work(patch)
        return {program: duties.fulfil(program) for program in BUSY}


def covers(folder: Folder, protection: Protection, right: str, key: str) -> bool:
    inside = folder.protection == protection and key.startswith(folder.path)
    return inside and right in folder.rights


@pytest.mark.parametrize("program", BUSY)
def test_what_a_program_asks_it_may(asked: dict[str, Asked], program: str) -> None:
    refused = {
        each
        for each in asked[program]
        if not any(covers(folder, *each) for folder in folders_of(program))
    }
    assert refused == set()


@pytest.mark.parametrize("program", BUSY)
def test_what_a_program_may_it_asks(asked: dict[str, Asked], program: str) -> None:
    idle = {
        (folder.path, right)
        for folder in folders_of(program)
        if folder.path.startswith(tuple(f"{name}/" for name in BUSY))
        for right in folder.rights
        if not any(covers(folder, *each) and each[1] == right for each in asked[program])
    }
    # An outbox archives nothing; a release in which it does needs no other rights.
    assert {each for each in idle if not each[0].startswith("commerce-notices/archive/")} == set()


def test_nobody_may_delete_in_a_journal_or_what_is_audited() -> None:
    for program in programs():
        for folder in folders_of(program):
            if "/journal/" in folder.path or folder.protection == "audit":
                assert "delete" not in folder.rights


def test_services_share_nothing() -> None:
    for service in SERVICES:
        others = {f"{name}/" for name in databases() if name != service}
        assert not any(folder.path.startswith(tuple(others)) for folder in folders_of(service))


def test_notifiers_change_nothing_of_their_service() -> None:
    for service in SERVICES:
        theirs = [
            folder
            for folder in folders_of(f"{service}-notices")
            if folder.path.startswith(f"{service}/")
        ]
        assert theirs
        assert all(folder.rights <= {"read", "list"} for folder in theirs)


def test_what_counts_for_good_is_kept() -> None:
    assert kept_folders("state")[:2] == ["identity/journal/", "identity/archive/"]
    assert "health-notices/journal/" in kept_folders("state")
    assert kept_folders("keys") == ["identity/keys/"]
    assert kept_folders("media") == ["commerce/pictures/"]
    assert len(kept_folders("audit")) == len(databases())


# Policies


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("environment", [APART, {"GANSU_ENV": "development"}], ids=["four", "one"])
def test_a_policy_grants_no_more_than_the_table(kind: object, environment: dict[str, str]) -> None:
    settings = StoreSettings.from_environ(environment)
    policies = Policies(settings, KINDS[kind.name])  # type: ignore[attr-defined]
    for program in programs():
        granted = {
            (action, resource)
            for statement in policies.of_program(program)["Statement"]
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
            for resource in statement["Resource"]
        }
        folders = folders_of(program)
        rows = [(bucket_of(settings, folder.protection), folder) for folder in folders]
        keys = {(action, f"arn:aws:s3:::{bucket}/{folder.path}*", folder)
            for bucket, folder in rows if bucket
            for right, action in (("read", "s3:GetObject"), ("create", "s3:PutObject"),
                                  ("delete", "s3:DeleteObject"))
            if right in folder.rights
        }  # fmt: skip
        buckets = {bucket for bucket, _ in rows if bucket}
        whole = {
            (action, f"arn:aws:s3:::{bucket}")
            for bucket in buckets
            for action in ("s3:ListBucket", "s3:GetBucketVersioning")
        }
        assert granted <= {(action, arn) for action, arn, _ in keys} | whole
        assert whole <= granted


def test_a_prefix_is_part_of_every_key() -> None:
    settings = StoreSettings.from_environ({**APART, "GANSU_STORE_PREFIX": "north/"})
    said = json.dumps(Policies(settings, AWS).of_program("commerce"))
    assert "gansu-state/north/commerce/journal/*" in said
    assert '"north/commerce/journal/*"' in said
    assert "gansu-state/commerce/" not in said


def test_policies_fit_what_stores_take() -> None:
    settings = StoreSettings.from_environ({**APART, "GANSU_STORE_PREFIX": "a-long-prefix/of-some/"})
    for kind in (AWS, CEPH, SEAWEEDFS):
        policies = Policies(settings, kind)
        for program in programs():
            whole = json.dumps(policies.of_program(program), separators=(",", ":"))
            assert len(whole) <= 6144  # a managed policy of AWS
        principal = kind.principal or "arn:aws:iam::123456789012:role/gansu-{program}"
        for protection in CLASSES:
            document = policies.of_bucket(bucket_of(settings, protection), principal)
            whole = json.dumps(document, separators=(",", ":"))
            assert len(whole) <= 20 << 10  # a bucket's policy


def test_on_aws_an_entry_cannot_be_replaced_either() -> None:
    said = Policies(SETTINGS, AWS).of_program("commerce")["Statement"]
    replacing = {"Null": {"s3:if-none-match": "true"}}
    assert [each["Effect"] for each in said if each.get("Condition") == replacing] == ["Deny"]
    assert "if-none-match" not in json.dumps(Policies(SETTINGS, CEPH).of_program("commerce"))


def test_a_kind_is_known_by_its_address() -> None:
    def kind(endpoint: str, region: str = "us-east-1", named: str | None = None) -> str:
        given = {"GANSU_STORE_ENDPOINT": endpoint, "GANSU_STORE_REGION": region}
        found = kind_of(StoreSettings.from_environ({**APART, **given}), named)
        return f"{found.name} {found.partition}"

    assert kind("https://s3.eu-west-1.amazonaws.com") == "aws aws"
    assert kind("https://s3.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1") == "aws aws-cn"
    assert kind("https://amazonaws.com.example.org") == "other aws"
    assert kind("https://ceph.gansu.example") == "other aws"
    assert kind("https://ceph.gansu.example", named="ceph") == "ceph aws"


def test_a_named_operator_reads_and_does_nothing_else() -> None:
    told = Policies(SETTINGS, CEPH).of_bucket("gansu-media", CEPH.principal or "", "arn:operator")
    [own] = [
        each for each in told["Statement"] if each.get("Principal") == {"AWS": ["arn:operator"]}
    ]
    assert (own["Effect"], set(own["Action"])) == ("Allow", {"s3:GetObject", "s3:GetObjectVersion"})


def test_a_stores_own_wording_is_the_same_policy() -> None:
    wanted = Policies(SETTINGS, CEPH).of_bucket("gansu-media", CEPH.principal or "")
    told = json.loads(json.dumps(wanted))
    for statement in told["Statement"]:
        statement["Sid"] = "of the store's"
        statement["Action"].reverse()
        if len(statement["Resource"]) == 1:
            [statement["Resource"]] = statement["Resource"]
    told["Statement"].reverse()
    assert same(told, wanted)
    told["Statement"][0]["Action"] = ["s3:*"]
    assert not same(told, wanted)
    assert not same(None, wanted)


def test_there_is_no_policy_for_a_stranger() -> None:
    with pytest.raises(KeyError):
        rights.folders_of("stranger")
