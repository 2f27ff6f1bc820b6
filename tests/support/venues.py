"""Each service's venue: the same proofs hold for units, places and a doctor's hours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.crowds import Venue
from tests.support.fleet import Fleet
from tests.support.patients import open_ward
from tests.support.shoppers import open_market
from tests.support.tourists import open_site

SERVICES = ("commerce", "tourism", "health")


@contextmanager
def fleet_of(service: str, root: Path, *, faults: bool = False) -> Iterator[Fleet]:
    """Two containers of a service behind two gateways, with the samples that its venue is among."""
    with Fleet(root, service=service, containers=2, gateways=2, faults=faults) as fleet:
        if service != "commerce":
            fleet.plant()
        yield fleet


def open_venue(fleet: Fleet) -> Venue:
    """A new venue of the fleet's service."""
    if fleet.service == "tourism":
        return open_site(fleet)
    if fleet.service == "health":
        return open_ward(fleet)
    return open_market(fleet, stores=2, products=4)
