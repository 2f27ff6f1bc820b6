"""docs/storage.md and the index of decisions say what is the case."""

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

from shared.storage.committer import CommitLimits

ROOT = Path(__file__).parents[3]
CONTRACT = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
BOUNDS = re.findall(r"^\| `([\w.]+)` \| ([\d,.]+) \|", CONTRACT, re.MULTILINE)


@pytest.mark.parametrize(("name", "stated"), BOUNDS)
def test_a_bound_is_what_the_contract_says(name: str, stated: str) -> None:
    module, *path = name.split(".")
    if path[0] == "CommitLimits":
        value = getattr(CommitLimits(), path[1])
    else:
        value = reduce(getattr, path, importlib.import_module(f"shared.storage.{module}"))

    assert float(stated.replace(",", "")) == value


def test_every_bound_of_the_engine_is_stated() -> None:
    stated = {name for name, _ in BOUNDS}
    bounds = {f"committer.CommitLimits.{name}" for name in CommitLimits.__dataclass_fields__}
    for path in (ROOT / "shared" / "storage").glob("*.py"):
        found = re.findall(
            r"^([A-Z][A-Z_]*_(?:MAX|MIN|SECONDS|MS|READS)|KEPT) = ", path.read_text(), re.MULTILINE
        )
        bounds |= {f"{path.stem}.{name}" for name in found}

    commands = {
        "audit",
        "inspection",
        "rebuilding",
        "verification",
        "__main__",
        "probe",
        "state",
        "words",
    }
    unstated = {name for name in bounds - stated if name.split(".")[0] not in commands}
    assert unstated == set(UNSTATED)


UNSTATED = (
    "archiver.PAUSE_SECONDS_MAX",
    "compaction.PAUSE_SECONDS",
    "chores.CHORE_SECONDS",
    "database.CLOSE_SECONDS",
    "database.REOPEN_SECONDS",
    "database.MADE_CHECK_SECONDS",
    "evidence.OUTAGE_RETRY_SECONDS",
    "journal.PAUSE_SECONDS",
)
"""Pauses that bound nothing that a caller could notice."""


def test_the_index_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    titles = {
        path.name: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for path in folder.glob("[0-9]*.md")
    }

    assert titles
    listed = dict(re.findall(r"^- \[(.+)\]\(([\w-]+\.md)\)$", index, re.MULTILINE))
    assert {name: title for title, name in listed.items()} == titles
