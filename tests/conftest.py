"""Options and fixtures that every test folder may ask for."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from infra import seaweed as stores
from tests.support.ceph import CephServer
from tests.support.moto import MotoServer
from tests.support.seaweed import SeaweedServer

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile(  # a seeded fault has to be caught, not explained
    "unexplained",
    derandomize=True,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("repeatable")  # `make fuzz` names the other one

# Processes that share out the tests would else, now and then, choose the port that another has
# chosen and not yet used.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
stores._PORTS = stores._PORTS[_WORKER :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proof", action="store_true", help="crash tests at full length")
    parser.addoption(
        "--store",
        action="append",
        choices=["memory", "moto", "seaweed", "ceph"],
        help="ask the contract of this store (memory, moto and seaweed without it)",
    )


@pytest.fixture(scope="session")
def proof(pytestconfig: pytest.Config) -> bool:
    """Whether crash tests run at full length (`make proof`) rather than at CI's."""
    return bool(pytestconfig.getoption("--proof"))


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One real object store for the whole run; a test makes a bucket of its own in it.

    A test that kills its store starts one of its own.
    """
    server = SeaweedServer(tmp_path_factory.mktemp("seaweed"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephServer]:
    """One Ceph for the whole run; it needs what infra/install-debian-packages installs."""
    server = CephServer(tmp_path_factory.mktemp("ceph"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoServer]:
    """One moto for the whole run."""
    with MotoServer() as server:
        yield server
