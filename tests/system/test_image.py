"""The Dockerfile builds an image that runs a service against a real store."""

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from infra.seaweed import free_ports
from tests.support.docker import Docker
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer, new_bucket
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
IMAGE = "smart-gansu"

pytestmark = pytest.mark.timeout(600)


class Service:
    """A container of the image, on the machine's loopback."""

    def __init__(self, docker: Docker, port: int, environment: dict[str, str]) -> None:
        self.docker = docker
        self.port = port
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        self.id = docker(
            "run",
            "--detach",
            "--network=host",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--tmpfs=/tmp",
            "--tmpfs=/var/lib/gansu/replicas:uid=10001,gid=10001",
            f"--env=BIND=127.0.0.1:{port}",
            *variables,
            IMAGE,
        )

    def get(self, target: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        assert self.inspect("{{.State.Running}}") == "true", self.docker("logs", self.id)
        try:
            return self.get("/commerce/health/ready")[0] == 200
        except (OSError, HTTPException):
            return False

    def inspect(self, template: str) -> str:
        return self.docker("inspect", f"--format={template}", self.id)


@pytest.fixture(scope="module")
def docker(docker_with_bases: Docker) -> Docker:
    docker_with_bases.build(ROOT, IMAGE)
    return docker_with_bases


@pytest.fixture(scope="module")
def service(
    docker: Docker, seaweed: SeaweedServer, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    [port] = free_ports(1)
    bucket = new_bucket(seaweed).bucket
    environment = {
        "GANSU_STORE_ENDPOINT": seaweed.endpoint,
        "GANSU_STORE_BUCKET": bucket,
        "GANSU_STORE_ACCESS_KEY": ACCESS_KEY,
        "GANSU_STORE_SECRET_KEY": SECRET_KEY,
        "GANSU_ISSUER": "http://127.0.0.1/identity",
        "GANSU_JWKS": "http://127.0.0.1/identity/.well-known/jwks.json",
        "GANSU_SUBJECT_KEY": "a secret of the tests, long enough to be one",
        "GANSU_REQUEST_KEY": "another secret of the tests, long enough to be one",
    }
    running = Service(docker, port, environment)
    wait_until(running.is_ready, "the container to be ready", seconds=60)
    return running


def test_it_serves(service: Service) -> None:
    status, body = service.get("/commerce/v1/products")
    assert status == 200
    assert json.loads(body)["items"] == []


def test_it_finds_itself_healthy(service: Service) -> None:
    wait_until(
        lambda: service.inspect("{{.State.Health.Status}}") == "healthy", "health", seconds=40
    )


def test_it_runs_as_nobody_in_particular(service: Service) -> None:
    assert service.docker("exec", service.id, "id", "-u") == "10001"


def test_it_parses_http_in_c(service: Service) -> None:
    service.docker("exec", service.id, "python", "-c", "import gunicorn_h1c")


def test_it_holds_nothing_that_only_building_needs(service: Service) -> None:
    for left in ("test -e /opt/venv/bin/pip", "command -v gcc", "test -s /run/secrets/ca"):
        done = service.docker(
            "exec", service.id, "/bin/sh", "-c", f"{left} && echo there", check=False
        )
        assert done == ""
    holds = service.docker("exec", service.id, "ls", "/srv/gansu").split()
    assert holds == ["data", "infra", "services", "shared"]


def test_without_settings_it_says_what_is_missing(docker: Docker) -> None:
    said = docker("run", "--rm", "--network=host", IMAGE, check=False)
    assert "GANSU_STORE_BUCKET is missing" in said


def test_it_stops_when_it_is_told(service: Service) -> None:
    """Last: the others need it running."""
    service.docker("stop", "--time=30", service.id)
    assert service.inspect("{{.State.ExitCode}}") == "0"
