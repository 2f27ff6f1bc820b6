"""The names `shared`, `services`, … are ours, though unrelated packages are called so too."""

import importlib.metadata
import re
import subprocess
import sys

import pytest

from infra.services import SERVICES
from tests.architecture.rules import ROOT

OURS = ("shared", "services", "infra", "tests", "bench")


@pytest.mark.parametrize("name", ["shared", "services", "infra", "tests"])
def test_a_name_resolves_inside_the_repository(name: str) -> None:
    code = f"import {name}; print({name}.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(ROOT / name / "__init__.py")


def test_nothing_installed_takes_our_names() -> None:
    installed = importlib.metadata.packages_distributions()
    assert {name: installed.get(name) for name in OURS} == dict.fromkeys(OURS)


def test_nothing_pinned_has_our_names() -> None:
    pinned = {
        match[1]
        for path in (ROOT / "requirements").glob("*.txt")
        for match in re.finditer(r"^([A-Za-z0-9._-]+)==", path.read_text(), re.MULTILINE)
    }
    assert "flask" in pinned
    assert pinned.isdisjoint({*OURS, *SERVICES, "smart-gansu"})


def test_every_pin_has_a_hash_and_names_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        for pin in re.split(r"\n(?=\S)", path.read_text().strip()):
            assert "--hash=sha256:" in pin, f"{path.name}: {pin}"
            assert "://" not in pin, f"{path.name}: {pin}"


def test_a_smaller_group_of_pins_is_part_of_the_larger() -> None:
    def pins(group: str) -> set[str]:
        text = (ROOT / "requirements" / f"{group}.txt").read_text()
        return set(re.findall(r"^\S+==\S+", text, re.MULTILINE))

    assert pins("run") < pins("local") < pins("dev") < pins("bench")
