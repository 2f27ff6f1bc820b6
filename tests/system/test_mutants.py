"""Each seeded fault is caught by the test that is named for it: a test that cannot fail would pass
here too.

A mutant runs in a copy of the tree, in a process of its own. Only a failed test counts: a mutant
that cannot even be imported, or a name that no test has, fails here.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mutants import MUTANTS, Mutant, table

ROOT = Path(__file__).parents[2]
COPIED = ("shared", "services", "infra", "tests", "data", "bench", "docs")
OPTIONS = (
    *("-x", "-q", "-p", "no:cacheprovider"),
    *("--timeout=10", "--hypothesis-profile=unexplained"),
)
"""Some mutants make a caller wait for ever; none of the named tests takes three seconds."""

TESTS_FAILED = 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, to be broken."""
    copy = tmp_path_factory.mktemp("mutants")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture(params=MUTANTS, ids=lambda mutant: re.sub(r"\W+", "-", mutant.does))
def seeded(tree: Path, request: pytest.FixtureRequest) -> Iterator[Mutant]:
    """A mutant, alive in the copy for as long as its test lasts."""
    mutant: Mutant = request.param
    file = tree / mutant.file
    sound = file.read_text(encoding="utf-8")
    assert sound.count(mutant.sound) == 1, "the passage that it breaks is no longer there, once"
    broken = sound.replace(mutant.sound, mutant.broken)
    ast.parse(broken)
    file.write_text(broken, encoding="utf-8")
    yield mutant
    file.write_text(sound, encoding="utf-8")


def test_a_seeded_fault_is_caught(tree: Path, seeded: Mutant) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, seeded.caught_by],
        cwd=tree,
        # Two versions of a file may share size and second, by which bytecode is told apart.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == TESTS_FAILED, run.stdout + run.stderr
    assert f"FAILED {seeded.caught_by}" in run.stdout, run.stdout


def test_the_list_is_published() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert table() in page
