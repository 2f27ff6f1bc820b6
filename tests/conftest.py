"""Options and fixtures that every test folder may ask for."""

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("repeatable")  # `make fuzz` names the other one


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proof", action="store_true", help="crash tests at full length")


@pytest.fixture(scope="session")
def proof(pytestconfig: pytest.Config) -> bool:
    """Whether crash tests run at full length (`make proof`) rather than at CI's."""
    return bool(pytestconfig.getoption("--proof"))
