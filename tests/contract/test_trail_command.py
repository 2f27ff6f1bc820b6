"""`python -m infra.trail` copies journals to a bucket under Object Lock, and says what it found."""

import hashlib
import threading
from typing import Any

import boto3
import pytest

from infra import trail
from infra.provision import main as provision
from shared.clock import SystemClock
from shared.settings import load_store
from shared.storage.journal import Journal, ensure_journal
from shared.storage.location import store_address
from shared.storage.s3 import S3Store
from tests.support.moto import MotoServer

ENTRY = "commerce/journal/00000000000000000001.json"


@pytest.fixture
def s3(moto: MotoServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The operator's client; the commands are told of two buckets of this test's own."""
    own = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    given = {
        "GANSU_ENV": "development",
        "GANSU_STORE_ENDPOINT": moto.endpoint,
        "GANSU_STORE_BUCKET": f"state-{own}",
        "GANSU_AUDIT_BUCKET": f"audit-{own}",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert provision([]) == 0
    return boto3.client(
        "s3",
        endpoint_url=moto.endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


def run(arguments: list[str]) -> int:
    return trail.main(arguments, threading.Event())


def begin() -> None:
    """Give commerce a journal of one entry."""
    clock = SystemClock()
    store = S3Store(store_address(load_store({})), clock)
    ensure_journal(Journal(store, "commerce/", clock), clock, "test")
    store.close()


def test_what_is_copied_is_locked_and_checked(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    assert run(["commerce", "health"]) == 0
    assert "commerce: 1 entries are copied, 1 pieces of them now" in capsys.readouterr().out
    bucket = load_store({}).audit_bucket
    [row] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    held = s3.head_object(Bucket=bucket, Key=row["Key"])
    assert held["ObjectLockMode"] == "GOVERNANCE"
    assert run(["commerce"]) == 0
    assert run(["commerce", "--check"]) == 0
    assert "all that was copied agrees" in capsys.readouterr().out


def test_a_journal_that_was_rewritten_is_told(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    assert run([]) == 0
    s3.delete_object(Bucket=load_store({}).store_bucket, Key=ENTRY)
    begin()
    assert run([]) == 1
    said = capsys.readouterr().err
    assert "commerce: the journal does not hold what was copied as commerce/segments/" in said
    assert run(["commerce", "--check"]) == 1


@pytest.mark.usefixtures("s3")
def test_what_cannot_be_done_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANSU_AUDIT_BUCKET", "")
    assert run([]) == 2
    assert "GANSU_AUDIT_BUCKET" in capsys.readouterr().err
    monkeypatch.setenv("GANSU_AUDIT_BUCKET", "no-such-bucket-of-anybodys")
    begin()
    assert run(["commerce"]) == 2
    with pytest.raises(SystemExit):
        run(["nobody"])
