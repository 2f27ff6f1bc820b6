"""Containers of the service image, on a Docker of the tests' own, as an operator would run them:
read-only, without capabilities, as nobody in particular.

    site = Site(docker, seaweed, tmp_path)
    service = site.service()
    service.wait_ready()
"""

import json
import re
import shlex
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from infra.seaweed import free_ports
from infra.seeds import account_of
from shared.auth.subjects import service_subject
from shared.clock import SystemClock
from shared.storage.s3 import S3Address, S3Store
from tests.support.docker import Docker
from tests.support.fleet import TOKEN_SECONDS, Door
from tests.support.ledger import Ledger, Told, audit, contradictions, entries_of
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer, new_bucket
from tests.support.tokens import Issuer, roles_of
from tests.support.waiting import wait_until

IMAGE = "smart-gansu"

_SUBJECT_KEY = "a secret of the tests, long enough to be one"
_CONFINED = (
    "--network=host",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp",
    "--tmpfs=/var/lib/gansu/replicas:uid=10001,gid=10001",
)


def bases(folder: Path) -> tuple[str, str]:
    """The images that the recipe in a folder builds on: one with a compiler, one to run."""
    recipe = (folder / "Dockerfile").read_text(encoding="utf-8")
    named = dict(re.findall(r"^ARG (\w+)=(\S+)$", recipe, re.MULTILINE))
    return named["BUILD"], named["PYTHON"]


class Container:
    """One container of the image, from its start."""

    def __init__(self, docker: Docker, environment: dict[str, str], *options: str) -> None:
        self.docker = docker
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        self.id = docker("run", "--detach", *_CONFINED, *options, *variables, IMAGE)

    def inspect(self, template: str) -> str:
        return self.docker("inspect", f"--format={template}", self.id)

    def execute(self, *argv: str) -> str:
        """What a command inside says. Fails with all of it where its exit status is not 0."""
        return self.docker("exec", self.id, *argv)

    def is_healthy(self) -> bool:
        """Whether Docker finds it so, by the image's own check."""
        return self.inspect("{{.State.Health.Status}}") == "healthy"

    def is_alive(self) -> bool:
        """Whether the image's own check, made now, finds it alive."""
        check = json.loads(self.inspect("{{json .Config.Healthcheck.Test}}"))
        assert check[0] == "CMD"
        status = f"{shlex.join(check[1:])} >/dev/null 2>&1; echo $?"
        return self.docker("exec", self.id, "/bin/sh", "-c", status, check=False) == "0"

    def stop(self) -> str:
        """SIGTERM, and all the time that it needs; its exit status."""
        self.docker("stop", "--time=30", self.id)
        return self.inspect("{{.State.ExitCode}}")


class Service(Container):
    """A web service of commerce, on a port of this machine."""

    def __init__(self, docker: Docker, environment: dict[str, str], *options: str) -> None:
        [self.port] = free_ports(1)
        super().__init__(docker, {"PORT": str(self.port), **environment}, *options)

    def get(self, target: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
        with closing(HTTPConnection(host, self.port, timeout=10)) as connection:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def is_ready(self) -> bool:
        assert self.inspect("{{.State.Running}}") == "true", self.docker("logs", self.id)
        try:
            return self.get("/commerce/health/ready")[0] == 200
        except (OSError, HTTPException):
            return False

    def wait_ready(self) -> None:
        wait_until(self.is_ready, "the container to be ready", seconds=60)


class Site:
    """Where containers of commerce run: a bucket, an issuer that they trust, and what all clients
    together were told (`shoppers.Grounds`).
    """

    def __init__(self, docker: Docker, seaweed: SeaweedServer, directory: Path) -> None:
        self._docker = docker
        self._bucket = new_bucket(seaweed)
        self._issuer = Issuer(SystemClock(), issuer="http://127.0.0.1/identity")
        self._keys = directory / "keys.json"
        self._keys.write_bytes(self._issuer.published)
        self._keys.chmod(0o644)
        self._services: list[Service] = []
        self.told = Told()

    @property
    def environment(self) -> dict[str, str]:
        return {
            **_store(self._bucket),
            "GANSU_ISSUER": self._issuer.issuer,
            "GANSU_JWKS": "/keys.json",
            "GANSU_SUBJECT_KEY": _SUBJECT_KEY,
            "GANSU_REQUEST_KEY": "another secret of the tests, long enough to be one",
            # A few accounts order here for a whole province.
            "GANSU_ORDERS_A_MINUTE": "0",
        }

    @property
    def _mounts(self) -> tuple[str, ...]:
        return (f"--volume={self._keys}:/keys.json:ro",)

    def service(self, **environment: str) -> Service:
        """A web service, which may not be ready yet."""
        service = Service(self._docker, {**self.environment, **environment}, *self._mounts)
        self._services.append(service)
        return service

    def container(self, **environment: str) -> Container:
        """Whatever the environment chooses."""
        return Container(self._docker, {**self.environment, **environment}, *self._mounts)

    @property
    def doors(self) -> Sequence[Door]:
        return [Door(service.port, "commerce") for service in self._services]

    def token(self, account: str) -> str:
        expires = SystemClock().now_ms() // 1000 + TOKEN_SECONDS
        return self._issuer.token(account_of(account), roles=roles_of(account), exp=expires)

    def subject(self, account: str) -> str:
        return service_subject(account_of(account), _SUBJECT_KEY.encode())

    def assert_books_agree(self) -> Ledger:
        with closing(S3Store(self._bucket, SystemClock())) as bucket:
            ledger = audit(entries_of(bucket, "commerce/"))
        assert ledger.faults == []
        assert contradictions(ledger, self.told) == []
        return ledger


def _store(bucket: S3Address) -> dict[str, str]:
    assert bucket.endpoint_url is not None
    return {
        "GANSU_STORE_ENDPOINT": bucket.endpoint_url,
        "GANSU_STORE_BUCKET": bucket.bucket,
        "GANSU_STORE_ACCESS_KEY": ACCESS_KEY,
        "GANSU_STORE_SECRET_KEY": SECRET_KEY,
    }
