"""The seeded faults fit the code as it is, and are published. Whether each is caught is seen by
`tests/system/test_mutants.py`, much later.
"""

from collections.abc import Sequence

import pytest

from tests.support.mutant import Mutant
from tests.support.mutants import MUTANTS, ROOT, broken_by, table
from tests.support.mutants_edges import EDGES


@pytest.mark.parametrize("mutant", [*MUTANTS, *EDGES], ids=lambda mutant: mutant.does)
def test_a_fault_fits_and_its_test_is_there(mutant: Mutant) -> None:
    broken_by(mutant, (ROOT / mutant.file).read_text(encoding="utf-8"))

    file, _, name = mutant.caught_by.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "mutants", "who"),
    [("reliability.md", MUTANTS, "an engine"), ("security.md", EDGES, "a platform")],
)
def test_the_list_is_published(page: str, mutants: Sequence[Mutant], who: str) -> None:
    assert table(mutants, who) in (ROOT / "docs" / page).read_text(encoding="utf-8")
