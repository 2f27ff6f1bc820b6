"""docs/security.md names tests: each is there, and what has to be covered is."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.rules import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\[`(test_\w+)[^`]*`\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)))
REQUIREMENT = re.compile(r"v5\.0\.0-\d{1,2}\.\d{1,2}\.\d{1,2}")


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse(Path(ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def section(title: str) -> str:
    """What stands between a heading and the next of its level."""
    level, _, _ = title.partition(" ")
    _, found, rest = PAGE.partition(f"\n{title}\n")
    assert found, title
    return re.split(rf"\n#{{1,{len(level)}}} ", rest)[0]


def table_rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


@pytest.mark.parametrize(("test", "file"), NAMED)
def test_a_named_test_exists(test: str, file: str) -> None:
    assert test in names_in(file)


def test_tests_are_named_in_one_way() -> None:
    """A name that is no link, or a link to something else, would be checked by nobody."""
    linked = re.findall(r"\[`test_\w+[^`]*`\]\(\.\./tests/[\w/]+\.py\)", PAGE)
    assert len(linked) == len(re.findall(r"`test_\w+", PAGE)) > 60


def test_every_risk_of_the_api_top_ten_has_a_test() -> None:
    rows = table_rows(section("## OWASP API Security Top 10 (2023)"))
    assert [row[0].split()[0] for row in rows] == [f"API{number}" for number in range(1, 11)]
    assert all(len(row) == 3 and "(../tests/" in row[2] for row in rows)


@pytest.mark.parametrize("whose", ["ours", "identity's"])
def test_every_requirement_has_a_test(whose: str) -> None:
    ours, _, identitys = section("## OWASP ASVS 5.0.0").partition("### Identity's")
    rows = table_rows(ours if whose == "ours" else identitys)
    assert rows
    for row in rows:
        assert all(REQUIREMENT.fullmatch(each) for each in row[0].split(", ")), row
        assert "(../tests/" in row[2], row
    named = [each for row in rows for each in row[0].split(", ")]
    assert len(set(named)) == len(named)
    firsts = [row[0].split(", ")[0] for row in rows]
    in_order = sorted(firsts, key=lambda each: [int(part) for part in each[7:].split(".")])
    assert firsts == in_order


@pytest.mark.parametrize(
    "abuse",
    [
        "stolen token",
        "malicious agent",
        "insider operator",
        "scalper with many accounts",
        "compromised service container",
        "leaked bucket credentials",
        "log reader",
        "guesses codes or passwords",
        "somebody's phone",
        "insider of the staff",
    ],
)
def test_the_threat_model_has_an_answer_to(abuse: str) -> None:
    [row] = [row for row in table_rows(section("### Abuse cases")) if f"**{abuse}**" in row[0]]
    assert len(row) == 4
    assert all(row)
