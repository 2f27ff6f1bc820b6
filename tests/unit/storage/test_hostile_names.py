"""Names of members that a client could choose reach neither SQL nor the search index."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.storage.access import Search
from shared.storage.catalogue import Catalogue, Collection
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryStore

HOSTILE = "a') OR json_extract(body, '$.secret"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[JournalDatabase]:
    opened = JournalDatabase(
        MemoryStore(),
        Catalogue(Collection("notes", text=("a",), facts=("a",), numbers=("a",))),
        prefix="",
        directory=tmp_path,
        clock=SystemClock(),
    )
    with closing(opened):
        yield opened


@pytest.mark.parametrize(
    "search",
    [
        Search("notes", order=HOSTILE),
        Search("notes", order="a", equal={HOSTILE: 1}),
        Search("notes", order="a", between={HOSTILE: (1, 2)}),
    ],
)
def test_a_search_takes_declared_members_only(database: JournalDatabase, search: Search) -> None:
    with pytest.raises(ValueError, match="not declared"):
        database.read(lambda view: view.search(search, limit=1))
