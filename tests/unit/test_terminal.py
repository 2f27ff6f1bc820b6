"""Commands say what they have to, and take what is typed, wherever they are started."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOLD = r"""
import sys
from shared import terminal
if __name__ == "__main__":
    terminal.prepare()
    print("Starting \u2026", ascii(sys.argv[1]), "\xe9", flush=True)
"""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python's ways out of a locale without Chinese are shut, as they are in one of Latin-1."""


def told(script: str, environment: dict[str, str], *options: str) -> str:
    argv = [sys.executable, *options, "-c", script, "升级"]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


@pytest.mark.parametrize("options", [(), ("-X", "utf8=0")], ids=["", "though it was shut off"])
def test_a_locale_without_chinese_is_not_believed(options: tuple[str, ...]) -> None:
    said = told(TOLD, ASCII, *options)
    assert said.startswith("Starting ")
    if not options:
        assert said == "Starting … '\\u5347\\u7ea7' é\n"


def test_what_a_terminal_cannot_show_stops_nothing() -> None:
    assert told(TOLD, {"PYTHONIOENCODING": "gbk"}) == "Starting … '\\u5347\\u7ea7' é\n"
    assert told(TOLD, {"PYTHONIOENCODING": "latin-1"}) == "Starting ? '\\u5347\\u7ea7' é\n"


CLOSED = """
import os
from shared import terminal
terminal.prepare()
print("said")
raise SystemExit(os.open("/dev/null", os.O_RDONLY))
"""


def test_nothing_is_opened_in_the_place_of_a_stream_that_was_closed() -> None:
    shell = ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, CLOSED]
    assert subprocess.run(shell, cwd=ROOT, check=False).returncode > 2


BEGINS = "terminal.prepare()"


def guarded(path: Path) -> list[str]:
    """What a module does where it is the program."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            return [ast.unparse(each) for each in node.body]
    return []


def test_every_command_begins_with_it() -> None:
    commands = [*(ROOT / "infra").rglob("*.py"), ROOT / "shared" / "storage" / "__main__.py"]
    does = {path.relative_to(ROOT).as_posix(): guarded(path) for path in commands}
    assert does["infra/run.py"]
    assert [path for path, lines in does.items() if lines and lines[0] != BEGINS] == []
