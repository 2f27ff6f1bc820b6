"""Each seeded fault is caught by the test that is named for it: a test that cannot fail would pass
here too.

A mutant runs in a copy of the tree, in a process of its own. Only a failed test counts: a mutant
that cannot even be imported, or a name that no test has, fails here.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mutant import Mutant
from tests.support.mutants import MUTANTS, copy_tree, seeded
from tests.support.mutants_edges import EDGES

OPTIONS = (
    *("-x", "-q", "-p", "no:cacheprovider"),
    *("--timeout=10", "--hypothesis-profile=unexplained"),
)
"""Some mutants make a caller wait for ever; none of the named tests takes three seconds."""

TESTS_FAILED = 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("mutants")
    copy_tree(copy)
    return copy


@pytest.fixture(params=(*MUTANTS, *EDGES), ids=lambda mutant: re.sub(r"\W+", "-", mutant.does))
def mutant(tree: Path, request: pytest.FixtureRequest) -> Iterator[Mutant]:
    with seeded(tree, request.param):
        yield request.param


def test_a_seeded_fault_is_caught(tree: Path, mutant: Mutant) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, mutant.caught_by],
        cwd=tree,
        # Two versions of a file may share size and second, by which bytecode is told apart.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == TESTS_FAILED, run.stdout + run.stderr
    assert f"FAILED {mutant.caught_by}" in run.stdout, run.stdout
