"""Fixtures that the proofs share; each module brings a `fleet` of its own."""

import pytest

from tests.support.crowds import Venue
from tests.support.fleet import Fleet
from tests.support.venues import open_venue


@pytest.fixture(scope="module")
def venue(fleet: Fleet) -> Venue:
    """What is traded in on the fleet, and what everybody was told in the module's tests so far."""
    return open_venue(fleet)
