"""Which services the platform has: one name a row, and everything about a service follows from it.

‹name› is run from services/‹name›/wsgi.py, answers under /‹name›/, keeps its journal and its
replicas under that name, has its notices sent by services/‹name›/notify.py, and its samples planted
by infra/seeds/‹name›.py, which has

    last_planted(now_ms)   an address that answers 200 once all samples stand; until then …
    main()                 … `python -m infra.seeds.‹name›` plants what is missing, and ends
"""

import importlib
from typing import Protocol, cast

SERVICES = ("identity", "commerce", "tourism", "health")
ISSUER = "identity"
"""The one that gives the tokens which all of them trust."""


class Seed(Protocol):
    """What a module of infra/seeds has."""

    def last_planted(self, now_ms: int) -> str: ...
    def main(self) -> None: ...


def seed_of(service: str) -> Seed:
    """The module that plants a service's samples."""
    return cast(Seed, importlib.import_module(f"infra.seeds.{service}"))
