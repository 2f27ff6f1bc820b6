"""How soon the simulator sees each seeded fault of the engine.

A mutant lives in a copy of the tree, in a process of its own: `python -m tests.simulation.hunt N`
there runs seeds from 0 until one shows a violation, and prints it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.run import simulate
from tests.support.mutants import MUTANTS, copy_tree, seeded

SECONDS_MAX = 300


def hunt(histories: int) -> int:
    """Print a row for each of the engine's mutants."""
    print("| an engine that … | is seen in history | after |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_tree(tree)
        for mutant in MUTANTS:
            if mutant.file.startswith("shared/storage/"):
                with seeded(tree, mutant):
                    seen = _first(tree, histories)
                print(f"| {mutant.does} | {seen} |", flush=True)
    return 0


def _first(tree: Path, histories: int) -> str:
    began = time.monotonic()
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "tests.simulation.hunt", str(histories)],
            cwd=tree,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        ).stdout.strip()
    except subprocess.TimeoutExpired:
        answer = ""
    return f"{answer or '–'} | {time.monotonic() - began:.1f} s"


def main() -> None:
    for seed in range(int(sys.argv[1])):
        if simulate(seed).faults:
            print(seed + 1)
            return


if __name__ == "__main__":
    main()
