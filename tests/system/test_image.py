"""The Dockerfile builds an image that runs a service against a real store."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.crowds import Crowd
from tests.support.docker import Docker
from tests.support.image import IMAGE, Service, Site, bases
from tests.support.seaweed import SeaweedServer
from tests.support.shoppers import open_market
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
COMPILER, RUNTIME = bases(ROOT)
PLAIN = "smart-gansu-plain"
CITIZENS = 24

BYTES_MAX = 120_000_000
"""Of the image above its base."""

DIGESTS = """
import hashlib, pathlib
for folder in ("/opt/venv", "/srv/gansu"):
    for path in sorted(each for each in pathlib.Path(folder).rglob("*") if each.is_file()):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path)
"""
"""Prints what is in every file that the image adds to its base."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def docker(docker_with_bases: Docker) -> Docker:
    docker_with_bases.make_trusting("trusting", COMPILER)
    # Mostly they wait for packages to arrive.
    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(
            docker_with_bases.build, ROOT, PLAIN, "--build-arg=BUILD=trusting", secret=False
        )
        docker_with_bases.build(ROOT, IMAGE)
        plain.result()
    return docker_with_bases


@pytest.fixture(scope="module")
def new_site(
    docker: Docker, seaweed: SeaweedServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Site]:
    return lambda: Site(docker, seaweed, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def site(new_site: Callable[[], Site]) -> Site:
    return new_site()


@pytest.fixture(scope="module")
def service(site: Site) -> Iterator[Service]:
    running = site.service()
    running.wait_ready()
    yield running
    running.stop()


# What it does


def test_it_serves(service: Service) -> None:
    status, body = service.get("/commerce/v1/products")
    assert status == 200
    assert json.loads(body)["items"] == []


def test_it_listens_by_both_protocols(service: Service) -> None:
    for loopback in ("127.0.0.1", "::1"):
        assert service.get("/commerce/health/live", loopback)[0] == 200


def test_it_finds_itself_healthy(service: Service) -> None:
    wait_until(service.is_healthy, "health", seconds=40)


def test_one_that_stands_still_is_not_alive(service: Service) -> None:
    """The check is a request: a process that is there and does nothing does not pass."""
    assert service.is_alive()
    service.docker("pause", service.id)
    try:
        # A paused container runs no check, so the check is made from beside it.
        beside = ("run", "--rm", "--network=host", f"--env=PORT={service.port}", IMAGE)
        said = service.docker(
            *beside, "sh", "-c", "python -m infra.container check; echo $?", check=False
        )
    finally:
        service.docker("unpause", service.id)
    assert said == "1"


def test_it_listens_on_a_socket_where_it_is_told_to(site: Site) -> None:
    container = site.container(BIND="unix:/tmp/commerce.sock")
    wait_until(container.is_alive, "it to serve", seconds=60)
    assert container.stop() == "0"


def test_it_is_a_notifier_where_it_is_told_to(site: Site) -> None:
    container = site.container(PROCESS="notify", GANSU_ENV="development")
    wait_until(container.is_alive, "it to look at the journal", seconds=60)
    assert "notices of commerce go to: console" in container.docker("logs", container.id)
    assert container.stop() == "0"


def test_without_settings_it_says_what_is_missing(docker: Docker) -> None:
    said = docker("run", "--rm", "--network=host", IMAGE, check=False)
    assert "GANSU_STORE_BUCKET is missing" in said
    said = docker("run", "--rm", "--network=host", "--env=PORT=http", IMAGE, check=False)
    assert "PORT is a whole number from 1 to 65535" in said


def test_what_a_platform_needs_otherwise_is_said_by_one_variable(docker: Docker) -> None:
    told = "--env=GUNICORN_CMD_ARGS=--keep-alive 900 --graceful-timeout 8 --print-config"
    said = docker("run", "--rm", "--network=host", "--env=GANSU_ENV=development", told, IMAGE)
    lines = said.replace(" ", "").splitlines()
    told_of = dict(line.split("=", 1) for line in lines if "=" in line)
    assert (told_of["keepalive"], told_of["graceful_timeout"]) == ("900", "8")


# What it is


def test_it_runs_as_nobody_in_particular(service: Service) -> None:
    assert service.execute("id", "-u") == "10001"


def test_it_parses_http_in_c(service: Service) -> None:
    service.execute("python", "-c", "import gunicorn_h1c")


def test_it_is_small(docker: Docker, record_property: Callable[[str, object], None]) -> None:
    above = docker.bytes_of(IMAGE) - docker.bytes_of(RUNTIME)
    record_property("bytes_above_base", above)
    assert above <= BYTES_MAX


def test_it_holds_nothing_that_only_building_needs(service: Service) -> None:
    for left in ("test -e /opt/venv/bin/pip", "command -v gcc", "test -s /run/secrets/ca"):
        done = service.docker(
            "exec", service.id, "/bin/sh", "-c", f"{left} && echo there", check=False
        )
        assert done == ""
    holds = service.execute("ls", "/srv/gansu").split()
    assert holds == ["data", "infra", "services", "shared"]
    assert service.execute("ls", "infra").split() == [
        "__init__.py",
        "__pycache__",
        "container.py",
        "gunicorn.conf.py",
    ]
    assert service.execute("find", "/opt/venv", "-type", "d", "-name", "tests") == ""


def test_what_was_left_out_is_not_missed(service: Service) -> None:
    """What boto3 finds a store by and gets credentials from, and which text is a number."""
    needs = (
        "import boto3, phonenumbers\n"
        "session = boto3.Session(region_name='cn-northwest-1')\n"
        "for name in ('s3', 'sts', 'sso', 'sso-oidc'): session.client(name)\n"
        "number = phonenumbers.parse('13893112345', 'CN')\n"
        "assert phonenumbers.is_valid_number(number)\n"
        "assert phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE\n"
    )
    service.execute("python", "-c", needs)


def test_nothing_is_compiled_at_a_start(service: Service) -> None:
    """It could not be kept, and would cost each start as much as all the rest."""
    lacking = (
        "import importlib.util, pathlib, sys\n"
        "for root in ('/opt/venv/lib', '/srv/gansu'):\n"
        "    for each in pathlib.Path(root).rglob('*.py'):\n"
        "        cached = pathlib.Path(importlib.util.cache_from_source(str(each)))\n"
        "        if not cached.exists() and each.name != 'gunicorn.conf.py': print(each)\n"
        "import gunicorn.app.wsgiapp, services.commerce.app, shared.assembly\n"
        "for module in list(sys.modules.values()):\n"
        "    cached = getattr(module, '__cached__', None)\n"
        "    if cached and not pathlib.Path(cached).exists(): print(cached)\n"
    )
    assert service.execute("python", "-c", lacking) == ""


def test_it_says_what_it_is(docker: Docker) -> None:
    labels = json.loads(docker("image", "inspect", "--format={{json .Config.Labels}}", IMAGE))
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{labels["org.opencontainers.image.version"]}"' in project
    assert labels["org.opencontainers.image.title"] == "Smart Gansu"
    assert labels["org.opencontainers.image.base.name"].endswith(RUNTIME)


def test_it_is_the_same_without_a_certificate_as_a_secret(docker: Docker) -> None:
    """PLAIN was built on a base that trusts whoever is on the way here to where packages are: as
    all bases do where nobody is.
    """
    secret, plain = (
        docker("run", "--rm", "--network=host", image, "python", "-c", DIGESTS)
        for image in (IMAGE, PLAIN)
    )
    assert len(plain.splitlines()) > 1000
    assert plain == secret


# How it ends


def test_a_stop_in_the_middle_of_a_start_is_heard(site: Site) -> None:
    """Process 1 is spared the signals that it does not ask for."""
    for seconds in (0.0, 0.3):
        container = site.container(BIND="unix:/tmp/commerce.sock")
        time.sleep(seconds)
        assert container.stop() == "0"


def test_a_stop_loses_nothing_of_what_a_crowd_is_at(new_site: Callable[[], Site]) -> None:
    """Twice: nothing acknowledged is lost, nothing contradicts it, and no request that had been
    let in goes without an answer.
    """
    site = new_site()
    service = site.service()
    service.wait_ready()
    market = open_market(site, stores=2, products=3)
    with Crowd(market, site.doors, citizens=CITIZENS, seed=7) as crowd:
        for _ in range(2):
            crowd.await_trade()
            assert service.stop() == "0"
            service.docker("start", service.id)
            service.wait_ready()
        crowd.await_trade()
    lost = [each for each in crowd.lost if not isinstance(each.error, ConnectionRefusedError)]
    assert [each for each in lost if each.kept] == []
    # In the instant in which the door closes somebody may be on the step: one for each stop.
    assert len(lost) <= 2, lost
    crowd.settle()
    ledger = site.assert_books_agree()
    assert ledger.taken > CITIZENS
    verified = service.execute("python", "-m", "shared.storage", "verify", "commerce")
    assert "one unbroken chain" in verified
    assert service.stop() == "0"
