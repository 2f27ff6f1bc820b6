"""A real object store for tests: a SeaweedFS process on loopback, over a directory of its own."""

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Protocol

from infra.seaweed import Seaweed, free_ports
from shared.storage.s3 import S3Address
from shared.storage.s3_admin import S3Admin
from tests.support.waiting import wait_until

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"


class SeaweedServer:
    """One store over `directory`; `kill` and `start` again continue on the same data and port."""

    def __init__(self, directory: Path) -> None:
        self.seaweed = Seaweed(
            directory=directory,
            port=free_ports(1)[0],
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            bin=Path(sys.prefix) / "bin" / "weed",
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return self.seaweed.endpoint

    def start(self) -> None:
        """Start the process and return when it answers."""
        argv = self.seaweed.argv()
        with (self.seaweed.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=self.seaweed.directory, stdout=log, stderr=log
            )
        wait_until(self._answers, f"SeaweedFS; its log is {log.name}")

    def kill(self) -> None:
        """SIGKILL, as a crash would be; everything that was acknowledged is on disk."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End the process and remove what it left outside its directory."""
        self.kill()
        self.seaweed.remove_sockets()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "SeaweedFS ended by itself"
        return self.seaweed.is_ready()


class Server(Protocol):
    """A real store that takes the tests' keys."""

    @property
    def endpoint(self) -> str: ...


def address(server: Server, bucket: str) -> S3Address:
    """A bucket of that store, whether or not it has been made."""
    return S3Address(bucket, server.endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY)


def new_bucket(server: Server) -> S3Address:
    """A fresh bucket of that store."""
    made = address(server, f"test-{uuid.uuid4().hex[:12]}")
    S3Admin(made).ensure_bucket()
    return made
