"""The manuals say what is so: their commands run, their links lead somewhere."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.platform import ROOT, Platform

MANUALS = [ROOT / "README.md", ROOT / "data" / "README.md", *(ROOT / "docs").rglob("*.md")]


def blocks(text: str) -> list[str]:
    """The shell commands of a manual."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_first_request_of_the_readme_orders_lily_bulbs(tmp_path: Path) -> None:
    assert shutil.which("curl"), "curl is needed: infra/install-debian-packages"
    commands, first_request = blocks((ROOT / "README.md").read_text())
    assert "make run" in commands
    assert "make test" in commands
    platform = Platform(tmp_path / "run", "--store", "moto")
    try:
        platform.start()
        script = first_request.replace(":8080", f":{platform.port}")
        assert script != first_request
        # Where `make token` finds what runs: the README's own is in `.run`.
        here = {**os.environ, "DIRECTORY": str(platform.layout.root)}
        said = subprocess.check_output(["sh", "-e", "-c", script], text=True, cwd=ROOT, env=here)
    finally:
        platform.end()
    found, end = json.JSONDecoder().raw_decode(said)
    ordered = json.loads(said[end:])
    assert [item["id"] for item in found["items"]] == ["sample-lanzhou-lily"]
    assert ordered["state"] == "placed"
    assert ordered["total"]["amount"] == 2 * found["items"][0]["price"]["amount"]


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(manual: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", manual.read_text())
    near = [target for target in targets if not re.match(r"[a-z]+:", target)]
    missing = [target for target in near if not (manual.parent / target).exists()]
    assert missing == []
