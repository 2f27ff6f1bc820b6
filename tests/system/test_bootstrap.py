"""The command that begins a platform, as an operator starts it: processes, a terminal, a store."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.storage.s3 import S3Address
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer, new_bucket

ROOT = Path(__file__).parents[2]
BEGIN = ["begin", "li.si", "wang.wu", "--app", "gansu-office", "--redirect", "https://a.example/in"]


@pytest.fixture
def address(seaweed: SeaweedServer) -> S3Address:
    return new_bucket(seaweed)


def run(
    argv: list[str], address: S3Address, replicas: Path, stdout: int
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "GANSU_ENV": "development",
        "GANSU_STORE_ENDPOINT": address.endpoint_url or "",
        "GANSU_STORE_BUCKET": address.bucket,
        "GANSU_STORE_ACCESS_KEY": ACCESS_KEY,
        "GANSU_STORE_SECRET_KEY": SECRET_KEY,
        "GANSU_REPLICA_DIRECTORY": str(replicas),
    }
    return subprocess.run(
        [sys.executable, "-m", "services.identity.bootstrap", *argv],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def on_terminal(
    argv: list[str], address: S3Address, replicas: Path
) -> tuple[subprocess.CompletedProcess[str], str]:
    """The command with a terminal for its output, and what that shows."""
    ours, theirs = pty.openpty()
    try:
        done = run(argv, address, replicas, theirs)
        os.write(theirs, b"end")
        shown = b""
        while not shown.endswith(b"end"):
            shown += os.read(ours, 65_536)
    finally:
        os.close(ours)
        os.close(theirs)
    return done, shown.decode().removesuffix("end")


def test_it_begins_once_and_only_before_somebodys_eyes(address: S3Address, tmp_path: Path) -> None:
    unseen = run(BEGIN, address, tmp_path, subprocess.PIPE)
    assert (unseen.returncode, unseen.stdout) == (2, "")
    begun, shown = on_terminal(BEGIN, address, tmp_path)
    assert (begun.returncode, begun.stderr) == (0, "")
    assert len(re.findall(r"account_[0-9a-f]{32}\.1\.\S{43}", shown)) == 2
    second, nothing = on_terminal(BEGIN, address, tmp_path / "another machine")
    assert (second.returncode, nothing) == (1, "")
    assert "officers already" in second.stderr
    anew, shown = on_terminal(["again"], address, tmp_path)
    assert (anew.returncode, anew.stderr) == (0, "")
    assert len(re.findall(r"account_[0-9a-f]{32}\.2\.\S{43}", shown)) == 2
