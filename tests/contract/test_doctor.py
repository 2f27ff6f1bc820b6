"""The doctor finds what is wrong with a store, says what to do, and leaves nothing behind."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.doctor import behaviour as behaving
from infra.doctor.__main__ import main
from infra.doctor.behaviour import behaviour
from infra.doctor.finding import Finding, remedy
from infra.doctor.latency import latency
from infra.doctor.permissions import permissions
from infra.provision import main as provision
from infra.rights import AUDITOR, folders_of, programs
from shared.storage.memory import MemoryStore, refuse
from shared.storage.objects import Denied, Misconfigured, ObjectInfo, Uncertain
from shared.storage.s3 import S3Address
from shared.storage.s3_admin import S3Admin
from tests.support.certificate import self_signed
from tests.support.clock import FakeClock
from tests.support.hostile import (
    AnswersAnything,
    ChecksThenStores,
    Fast,
    IgnoresAfter,
    IgnoresCondition,
    ListsLate,
    ReplacesAndRefuses,
    StoresTheLoser,
    Undated,
    Versioned,
)
from tests.support.moto import MotoServer
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.support.stub_http import StubHttp, always, answer

PLACE = "commerce/probe/doctor-1/"


@pytest.fixture(autouse=True)
def _two_racers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaving, "RACERS", 2)
    monkeypatch.setattr(behaving, "RACES", 2)


def wrong(findings: Iterator[Finding]) -> list[str]:
    return [each.about for each in findings if each.level == "wrong"]


# What the store does


class Partial(MemoryStore):
    """Gives the beginning of an object whatever part is asked for."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return super().get(key)[:length]


class Behind(MemoryStore):
    """A cache before the store, which has nothing of the last second."""

    def get(self, key: str) -> bytes:
        raise Uncertain("not here yet")


@pytest.mark.parametrize(
    ("make", "about"),
    [
        (IgnoresCondition, "creating"),
        (ReplacesAndRefuses, "creating"),
        (ChecksThenStores, "racing"),
        (StoresTheLoser, "racing"),
        (AnswersAnything, "absence"),
        (Versioned, "versioning"),
        (ListsLate, "listing"),
        (IgnoresAfter, "listing"),
        (Fast, "clock"),
        (Undated, "clock"),
        (Partial, "ranges"),
    ],
)
def test_what_is_wrong_is_found(make: Callable[[], MemoryStore], about: str) -> None:
    store = make()
    found = [each for each in behaviour(store, store, PLACE, []) if each.about == about]
    assert [each.level for each in found] == ["wrong"]
    assert found[0].do


@pytest.mark.parametrize("other", [Behind, ListsLate])
def test_a_reader_who_lags_behind_is_found(other: type[MemoryStore]) -> None:
    store = MemoryStore()
    assert wrong(behaviour(store, other(store.bucket), PLACE, [])) == ["consistency"]


def test_a_sound_store_is_well_and_what_was_made_is_known() -> None:
    store = MemoryStore()
    made: list[str] = []
    found = list(behaviour(store, MemoryStore(store.bucket), PLACE, made))
    assert {each.level for each in found} == {"well"}
    assert sorted(made) == [row.key for row in store.list(PLACE)]
    assert len(made) < 40


def test_a_store_that_falls_silent_is_named_and_the_rest_is_asked() -> None:
    store = MemoryStore()
    store.inject("create", refuse(Uncertain("no answer")), key=f"{PLACE}first/once")
    found = wrong(behaviour(store, store, PLACE, []))
    assert "creating" in found
    assert "consistency" not in found


class SixSecondsAhead(MemoryStore):
    """Its clock is ahead, and not yet too far."""

    def clock_skew_ms(self) -> int | None:
        return 6_000


def test_a_clock_that_drifts_is_noted() -> None:
    store = SixSecondsAhead()
    notes = [each for each in behaviour(store, store, PLACE, []) if each.level == "note"]
    assert [each.about for each in notes] == ["offset"]
    assert "+6.0 s" in notes[0].said


class Still(FakeClock):
    """Time passes where the test says so, and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed


class Slow(MemoryStore):
    """Takes its time to store."""

    def __init__(self, own: Still, seconds: float) -> None:
        super().__init__()
        self._own, self._seconds = own, seconds

    def create(self, key: str, body: bytes) -> None:
        self._own.passed += self._seconds
        super().create(key, body)


@pytest.mark.parametrize(("seconds", "level"), [(0.0625, "well"), (0.25, "note")])
def test_a_slow_store_is_noted(seconds: float, level: str) -> None:
    clock = Still()
    put, get, listing = latency(Slow(clock, seconds), PLACE, [], clock)
    assert put.level == level
    assert f"half within {seconds * 1000:.1f} ms" in put.said
    assert {get.level, listing.level} == {"well"}


# What credentials can do


class Fenced(MemoryStore):
    """Lets a program do what the table of rights has."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._folders = folders_of(program)

    def _may(self, right: str, key: str) -> None:
        if not any(right in row.rights and key.startswith(row.path) for row in self._folders):
            raise Denied(f"{right} {key}")

    def create(self, key: str, body: bytes) -> None:
        self._may("create", key)
        super().create(key, body)

    def get(self, key: str) -> bytes:
        self._may("read", key)
        return super().get(key)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        self._may("list", prefix)
        return super().list(prefix, after=after, limit=limit)

    def delete(self, key: str) -> None:
        self._may("delete", key)
        super().delete(key)


@pytest.fixture
def guarded() -> Iterator[S3Admin]:
    """A bucket whose policy these credentials cannot change."""
    denied = answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    with StubHttp(always(denied)) as server:
        yield S3Admin(S3Address("bucket", server.endpoint, access_key="a", secret_key="b"))


@pytest.mark.parametrize("program", programs())
def test_a_program_with_its_own_rights_is_well(program: str, guarded: S3Admin) -> None:
    found = list(permissions(Fenced(program), guarded, "", program, "doctor-1", []))
    assert {each.level for each in found} == {"well"}
    assert len(found) == (4 if program == AUDITOR else 5)


def test_credentials_that_can_do_everything_are_wrong() -> None:
    refused = answer(400, b"<Error><Code>MalformedPolicy</Code></Error>")
    store, made = MemoryStore(), list[str]()
    store.create("health/journal/00000000000000000001.json", b"an entry")
    with StubHttp(always(refused)) as server:
        admin = S3Admin(S3Address("bucket", server.endpoint, access_key="a", secret_key="b"))
        found = list(permissions(store, admin, "", "commerce", "doctor-1", made))
    assert wrong(iter(found)) == ["journal", "others' objects", "bucket"]
    assert "read health's journal" in found[3].said
    assert "read tourism's journal" not in found[3].said  # there is none to be read
    assert store.bucket.get("health/journal/00000000000000000001.json") == b"an entry"
    assert {row.key for row in store.list("")} <= {*made, "health/journal/" + "0" * 19 + "1.json"}


def test_rights_that_are_missing_are_named(guarded: S3Admin) -> None:
    store = Fenced("tourism")
    store._folders = tuple(row for row in store._folders if "archive" not in row.path)
    first, *_ = permissions(store, guarded, "", "tourism", "doctor-1", [])
    assert (first.level, first.about) == ("wrong", "rights")
    assert "list tourism/archive/; read tourism/archive/" in first.said
    assert "policies --service tourism" in first.do


def test_who_may_not_tidy_is_noted(guarded: S3Admin) -> None:
    store = Fenced("tourism")
    store.inject("delete", refuse(Denied("403")), times=9)
    found = list(permissions(store, guarded, "", "tourism", "doctor-1", []))
    assert [each.about for each in found if each.level == "note"] == ["tidying"]


def test_a_store_that_does_not_answer_allows_nothing(guarded: S3Admin) -> None:
    store = MemoryStore()
    store.inject("delete", refuse(Uncertain("no answer")), key="tourism/journal/")
    found = {each.about: each for each in permissions(store, guarded, "", "tourism", "d", [])}
    assert "does not answer" in found["journal"].said


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (Denied("403 RequestTimeTooSkewed"), "NTP"),
        (Denied("403 SignatureDoesNotMatch"), "GANSU_STORE_SECRET_KEY"),
        (Denied("403 AccessDenied"), "infra.provision policies"),
        (Misconfigured("404 NoSuchBucket"), "infra.provision"),
        (Misconfigured("301 PermanentRedirect"), "_REGION"),
        (Uncertain("cannot connect: [Errno 111] Connection refused"), "listens"),
        (Uncertain("cannot connect: timed out"), "firewall"),
        (Uncertain("GET: 503 SlowDown"), "log"),
        (Uncertain("GET ?list-type=2: 404"), "no object store"),
        (Denied("GET ?list-type=2: 403 AccessDenied"), "one program's"),
    ],
)
def test_each_trouble_has_its_remedy(error: Any, what: str) -> None:
    assert what in remedy(error)


# The command


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Names a store of this test's own to the commands."""
    own = uuid.uuid4().hex[:8]

    def tell(endpoint: str, **more: str) -> str:
        names = ("STORE", "KEYS", "MEDIA", "AUDIT")
        buckets = {f"GANSU_{name}_BUCKET": f"{name.lower()}-{own}" for name in names}
        given = {"GANSU_ENV": "development", "GANSU_STORE_ENDPOINT": endpoint, **buckets, **more}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return own

    return tell


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and the worst finding about each thing."""
    capsys.readouterr()
    status = main(["--json", *arguments])
    said = json.loads(capsys.readouterr().out)
    assert said["status"] == status
    findings = sorted(said["findings"], key=lambda each: each["level"] == "wrong")
    return status, {each["about"]: each for each in findings}


def test_a_provisioned_store_is_well_and_left_clean(
    moto: MotoServer, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    own = told(moto.endpoint)
    status, found = examined(capsys)
    assert (status, found["reach"]["level"]) == (2, "wrong")
    assert "infra.provision" in found["reach"]["do"]
    assert provision([]) == 0
    status, found = examined(capsys)
    assert status == 0, found
    assert {each["level"] for each in found.values()} <= {"well", "note"}
    s3 = boto3.client(
        "s3",
        endpoint_url=moto.endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    assert s3.list_objects_v2(Bucket=f"store-{own}")["KeyCount"] == 0


def test_a_versioned_bucket_is_wrong(
    moto: MotoServer, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    own = told(moto.endpoint)
    assert provision([]) == 0
    told(moto.endpoint, GANSU_STORE_BUCKET=f"audit-{own}", GANSU_AUDIT_BUCKET="")
    status, found = examined(capsys)
    assert status == 1
    assert found["versioning"]["level"] == "wrong"
    assert "Versioning cannot be taken back" in found[f"bucket audit-{own}"]["said"]


def test_seaweedfs_is_well(
    seaweed: SeaweedServer, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"GANSU_STORE_ACCESS_KEY": ACCESS_KEY, "GANSU_STORE_SECRET_KEY": SECRET_KEY}
    told(seaweed.endpoint, **keys)
    assert provision(["--store", "seaweedfs", "--policies"]) == 0
    assert provision(["--store", "seaweedfs", "--policies", "--plan"]) == 0
    status, found = examined(capsys, "--store", "seaweedfs")
    assert status == 0, found
    # With an operator's credentials a program could do everything.
    status, found = examined(capsys, "--service", "commerce")
    assert status == 1
    assert found["others' objects"]["level"] == "wrong"
    # The bucket's policy denies that to everybody.
    assert found["journal"]["level"] == "well"


def test_wrong_keys_are_named(
    seaweed: SeaweedServer, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(seaweed.endpoint, GANSU_STORE_ACCESS_KEY="nobody", GANSU_STORE_SECRET_KEY="nothing")
    status, found = examined(capsys)
    assert status == 2
    assert "GANSU_STORE_ACCESS_KEY" in found["reach"]["do"]


def test_troubles_of_tls_are_told_apart(
    tmp_path: Path,
    moto: MotoServer,
    told: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    certificate = self_signed(tmp_path, ())
    missing = answer(404, b"<Error><Code>NoSuchBucket</Code></Error>", "Date: today")
    with StubHttp(always(missing), certificate) as server:
        told(server.endpoint)
        status, found = examined(capsys)
        assert (status, "GANSU_STORE_CA_FILE" in found["reach"]["do"]) == (2, True)
        told(server.endpoint, GANSU_STORE_CA_FILE=str(certificate[0]))
        _, found = examined(capsys)
        assert "Make the bucket" in found["reach"]["do"]
        told(server.endpoint.replace("127.0.0.1", "localhost"))
        _, found = examined(capsys)
        assert "is for another name" in found["reach"]["do"]
    told(moto.endpoint.replace("http:", "https:"))
    status, found = examined(capsys)
    assert status == 2
    assert "does not speak TLS" in found["reach"]["do"]


def test_settings_that_cannot_be_used_are_told(
    told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    told("nowhere")
    assert main([]) == 2
    assert "GANSU_STORE_ENDPOINT" in capsys.readouterr().out
