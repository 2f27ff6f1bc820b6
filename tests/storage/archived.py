"""What the tests of the archive stand on: orders that are over, and a container that archives.

fill(here, range(20), citizens=2)
archive(here)
assert here_are(here) == []
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from shared.storage.access import Document, Hit, Transaction
from shared.storage.archive import Volume, with_volumes
from shared.storage.archiver import Archiver
from shared.storage.catalogue import VOLUMES, Archive, Body, Catalogue, Collection, Index
from shared.storage.idempotency import with_rows
from tests.storage.world import PREFIX, Container, World

ARCHIVED = Catalogue(
    Collection(
        "orders",
        indexes=(
            Index("orders_by_citizen", ("citizen",)),
            Index("orders_by_state", ("state",)),
        ),
        archive=Archive(since="closed_ms", list="orders_by_citizen"),
    ),
    Collection("rows", indexes=(Index("rows_by_time", ("at",)),), archive=Archive(since="at")),
    Collection("notes"),
)


def _told(body: Body) -> Body:
    return {**body, "told": body.get("told", 0) + 1}


NEWER = Catalogue(
    *(
        replace(each, version=2, upgrades={1: _told}) if each.name == "orders" else each
        for each in ARCHIVED.collections.values()
    )
)
"""The next release's; an upgrade that is made twice shows."""

FOLDER = f"{PREFIX}archive/orders/"
KEPT_MS = 90 * 24 * 3600 * 1000


def order(number: int, citizen: str = "c0", **more: Any) -> Callable[[Transaction], Document]:
    """An order whose key tells its place in time."""
    body = {"citizen": citizen, "state": "done", "number": number, **more}
    return lambda tx: tx.put("orders", key(number), body)


def key(number: int) -> str:
    return f"order_{number:04}"


def closed(number: int, citizen: str = "c0") -> Callable[[Transaction], Document]:
    return order(number, citizen, closed_ms=1_000 + number)


def fill(container: Container, numbers: range, citizens: int = 1) -> None:
    def change(tx: Transaction) -> None:
        for number in numbers:
            closed(number, f"c{number % citizens}")(tx)

    container.database.transact(change)


def archiver(container: Container, kept_ms: int = KEPT_MS, collection: str = "orders") -> Archiver:
    return Archiver(
        collection,
        with_volumes(with_rows(container.catalogue)),
        container.store,
        PREFIX,
        container.clock,
        kept_ms=kept_ms,
        read=container.database._read_replica,
        commit=container.database._commit,
    )


def archive(container: Container, runs: int = 99) -> int:
    """Let what is due leave; in how many entries."""
    worker = archiver(container)
    return sum(1 for _ in range(runs) if worker.run())


def here_are(container: Container, collection: str = "orders") -> list[str]:
    """The keys that the replica has."""
    return [row[1] for row in container.dump() if row[0] == collection]


def volumes(container: Container) -> list[Volume]:
    with container.follower.reading() as reader:
        keys = [row[1] for row in reader.dump() if row[0] == VOLUMES]
    found = container.database.read(
        lambda view: [view.require(VOLUMES, each) for each in keys]
    ).value
    return sorted((Volume.of(each) for each in found), key=lambda each: each.first)


def read(container: Container, number: int) -> Document:
    found: Document = container.database.read(
        lambda view: view.require("orders", key(number))
    ).value
    return found


def listed(container: Container, citizen: str = "c0", limit: int = 4, **how: Any) -> list[str]:
    """All the keys of a person's list, page by page."""
    return [hit.document.key for hit in paged(container, citizen, limit, **how)]


def paged(container: Container, citizen: str, limit: int, descending: bool = True) -> Iterator[Hit]:
    after = None
    while True:
        page = container.database.read(
            lambda view, after=after: view.find(
                "orders_by_citizen", (citizen,), limit=limit, after=after, descending=descending
            )
        ).value
        yield from page
        if len(page) < limit:
            return
        after = page[-1].position


def objects(world: World) -> list[str]:
    return [info.key for info in world.store.list(FOLDER) if info.key.endswith(".volume")]
