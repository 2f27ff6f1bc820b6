"""The commands as an operator starts them: processes with settings, and a real store."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.storage.s3 import S3Address, S3Store
from tests.storage_cli.journal import ENTRIES, PREFIX, fill
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer, new_bucket

ROOT = Path(__file__).parents[2]


@pytest.fixture
def address(seaweed: SeaweedServer) -> S3Address:
    return new_bucket(seaweed)


@pytest.fixture
def store(address: S3Address) -> Iterator[S3Store]:
    with closing(S3Store(address, SystemClock())) as opened:
        yield opened


def command(
    *argv: str, address: S3Address | None = None, replicas: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
    if address is not None:
        environment |= {
            "GANSU_STORE_ENDPOINT": address.endpoint_url or "",
            "GANSU_STORE_BUCKET": address.bucket,
            "GANSU_STORE_ACCESS_KEY": ACCESS_KEY,
            "GANSU_STORE_SECRET_KEY": SECRET_KEY,
            "GANSU_REPLICA_DIRECTORY": str(replicas),
        }
    return subprocess.run(
        [sys.executable, "-m", "shared.storage", *argv],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_real_bucket_is_verified_inspected_and_exported(
    address: S3Address, store: S3Store, tmp_path: Path
) -> None:
    fill(store, tmp_path / "commerce")

    verified = command(
        "verify", "commerce", "--replica", str(tmp_path), address=address, replicas=tmp_path
    )
    inspected = command("inspect", "commerce", address=address, replicas=tmp_path)
    exported = command("export", "commerce", "--entries", address=address, replicas=tmp_path)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"{ENTRIES} with" in verified.stdout
    assert verified.stdout.count("agrees") == 2
    assert (inspected.returncode, inspected.stderr) == (0, "")
    assert f"replicas under {tmp_path / 'commerce'}" in inspected.stdout
    assert len(exported.stdout.splitlines()) == ENTRIES

    store.delete(f"{PREFIX}journal/{7:020d}.json")
    damaged = command("verify", "commerce", address=address, replicas=tmp_path)
    assert damaged.returncode == 1
    assert "entry 7: is missing" in damaged.stdout


def test_missing_settings_are_named() -> None:
    ran = command("verify", "commerce")

    assert ran.returncode == 2
    assert "GANSU_STORE_BUCKET is missing" in ran.stderr


def test_a_store_that_is_away_exits_with_2(tmp_path: Path) -> None:
    nowhere = S3Address("bucket", "http://127.0.0.1:9")

    ran = command("inspect", "commerce", address=nowhere, replicas=tmp_path)

    assert ran.returncode == 2
    assert "Uncertain" in ran.stderr
