"""Each service's venue: the same proofs hold for units, places and a doctor's hours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from infra.services import ISSUER, SERVICES
from tests.support.crowds import Venue
from tests.support.fleet import Fleet
from tests.support.patients import open_ward
from tests.support.shoppers import open_market
from tests.support.tourists import open_site

ON_CEPH = "commerce on Ceph"

VENUES = tuple(service for service in SERVICES if service != ISSUER)
"""Where there is something that crowds can want. In identity nothing is scarce: its law is tried by
tests/property/test_identity_grants.py."""

FLEETS = (*VENUES, ON_CEPH)
"""What a proof is tried on: each of them on SeaweedFS, one of them on Ceph."""


@contextmanager
def fleet_of(kind: str, root: Path, *, faults: bool = False) -> Iterator[Fleet]:
    """Two containers of one of `FLEETS` behind two gateways, with the samples that its venue is
    among.
    """
    service, ceph = kind.partition(" ")[0], kind == ON_CEPH
    with Fleet(root, service=service, containers=2, gateways=2, faults=faults, ceph=ceph) as fleet:
        if service != "commerce":
            fleet.plant()
        yield fleet


def open_venue(fleet: Fleet) -> Venue:
    """A new venue of the fleet's service."""
    return _VENUES[fleet.service](fleet)


_VENUES: dict[str, Callable[[Fleet], Venue]] = {
    "commerce": partial(open_market, stores=2, products=4),
    "tourism": open_site,
    "health": open_ward,
}
