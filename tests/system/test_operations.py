"""The operator's manual is followed to the letter: its commands run, and say what it says they say.

The commands are the manual's own; only the platform stands in a directory, and at a port, of the
test's.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import ROOT, Platform
from tests.support.waiting import wait_until

MANUAL = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[str]:
    """The shell blocks below a heading of the manual."""
    below = MANUAL.split(f"\n### {heading}\n")[1]
    section = re.split(r"^##", below, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = Platform(tmp_path / "run")
    try:
        made.start()
        yield made
    finally:
        made.end()


class Shell:
    """A terminal in the checkout, whose `.run` and port are the platform's."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._backup = platform.layout.root.parent / "backup.tar.gz"

    def run(self, *blocks: str) -> str:
        """What the blocks say, one after the other in one terminal; all of it has to succeed."""
        script = "\n".join(blocks)
        script = script.replace(":8080", f":{self._platform.port}")
        script = script.replace("~/gansu-backup.tar.gz", str(self._backup))
        script = re.sub(r"(?<![\w/])\.run\b", str(self._platform.layout.root), script)
        assert "docs/" not in script
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=ROOT,
            env={**os.environ, "DIRECTORY": str(self._platform.layout.root)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, script + done.stdout + done.stderr
        return done.stdout


@pytest.mark.timeout(400)
def test_an_outage_and_a_drill_as_the_manual_has_them(platform: Platform) -> None:
    shell = Shell(platform)
    said = shell.run(*commands("An outage, once, before it happens"))
    assert said.splitlines() == [
        "products: 200",
        "an order: 503",
        "ready: 200",
        "the same order: 201",
    ]

    look, back_up, restore, check = commands("A drill")
    before = entries(shell.run(look))
    assert platform.interrupt() == 0
    shell.run(back_up)
    platform.start()
    made = platform.order(platform.token("citizen-0002"), "sample-lanzhou-lily", 1, "of-the-drill")
    assert made.status == 201
    after = entries(shell.run(look))
    assert after > before
    assert platform.interrupt() == 0
    shell.run(restore)
    platform.start()
    # Of two processes of a container the one that opens first notices.
    wait_until(
        lambda: any(
            "is not of this journal" in log.read_text()
            for log in platform.layout.logs.glob("commerce*.log")
        ),
        "the replica is ahead",
    )
    shell.run(check)
    assert entries(shell.run(look)) < after


def entries(inspected: str) -> int:
    """The journal's head, as `inspect` tells it."""
    found = re.search(r"^head +entry ([\d,]+)", inspected, re.MULTILINE)
    assert found is not None, inspected
    return int(found[1].replace(",", ""))


def test_the_manual_has_ten_incidents_each_with_what_helps() -> None:
    section = MANUAL.split("\n## Ten incidents\n")[1].split("\n## ")[0]
    incidents = re.split(r"^### \d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(incidents) == 10
    for incident in incidents:
        for part in ("You see", "It means", "Look at", "Do", "Over when"):
            assert f"- **{part}**" in incident, incident.splitlines()[0]
