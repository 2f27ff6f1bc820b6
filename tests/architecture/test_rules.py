"""The tree keeps the rules, and each rule can find what it forbids."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.rules import CODE, ROOT, findings, modules, texts

Rule = Callable[[str], list[str]]


def test_only_the_clock_reads_time_randomness_and_ids() -> None:
    assert findings(modules(*CODE), rules.reads_clock, but=["shared/clock.py"]) == []


def test_only_settings_reads_the_environment() -> None:
    assert findings(modules(*CODE), rules.reads_environment, but=["shared/settings.py"]) == []


def test_only_wsgi_acts_on_import() -> None:
    plain = [
        path for path in modules(*CODE, "infra") if path.name not in ("wsgi.py", "gunicorn.conf.py")
    ]
    assert findings(plain, rules.acts_on_import) == []


def test_every_module_says_what_belongs_in_it() -> None:
    assert findings(modules(*CODE, "infra", "tests", "bench"), rules.lacks_contract) == []


def test_no_file_is_too_long_to_read() -> None:
    assert findings(modules(*CODE, "infra", "tests", "bench"), rules.is_long) == []


def test_no_file_names_a_registry_or_a_machine() -> None:
    assert findings(texts(), rules.names_elsewhere) == []


def test_one_script_installs_debian_packages() -> None:
    manuals = [path.relative_to(ROOT).as_posix() for path in texts() if path.suffix == ".md"]
    allowed = ["infra/install-debian-packages", "tests/architecture/test_rules.py", *manuals]
    assert findings(texts(), rules.calls_apt, but=allowed) == []


def test_what_git_is_told_to_ignore_is_none_of_the_texts(tmp_path: Path) -> None:
    """`make test` goes on while `make run` keeps its store, logs and sockets in the checkout."""
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for name in (".run/logs/gateway.log", ".run-2/secrets", "infra/__pycache__/a", "infra/run.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    found = {path.relative_to(tmp_path).as_posix() for path in texts(tmp_path)}
    assert found == {".gitignore", "infra/run.py"}


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (rules.reads_clock, "import time"),
        (rules.reads_clock, "import time as t, json"),
        (rules.reads_clock, "def f():\n    from random import choice"),
        (rules.reads_clock, "from uuid import uuid4"),
        (rules.reads_clock, "import secrets"),
        (rules.reads_clock, "import datetime\nx = lambda: datetime.datetime.now()"),
        (rules.reads_clock, "from datetime import date\ndef f(): return date.today()"),
        (rules.reads_clock, "import os\ndef f(): return os.urandom(8)"),
        (rules.reads_clock, "from os import urandom as entropy"),
        (rules.reads_environment, "import os\nx = os.environ['A']"),
        (rules.reads_environment, "import os\nx = os.getenv('A')"),
        (rules.reads_environment, "from os import environ"),
        (rules.acts_on_import, "print(1)"),
        (rules.acts_on_import, "for x in range(3):\n    pass"),
        (rules.acts_on_import, "with open('x') as f:\n    pass"),
        (rules.acts_on_import, "if True:\n    import os"),
        (rules.lacks_contract, "import os"),
        (rules.is_long, "x = 1\n" * 501),
        (rules.names_elsewhere, "pip install --index-url https://" + "pypi" + ".org/simple"),
        (rules.names_elsewhere, "ghcr" + ".io/somebody/image"),
        (rules.names_elsewhere, "cd /home" + "/somebody"),
        (rules.calls_apt, "RUN apt-get update && apt-get install -y nginx"),
        (rules.calls_apt, "sudo apt install nginx"),
    ],
)
def test_each_rule_finds_what_it_forbids(rule: Rule, source: str) -> None:
    assert rule(source) != []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (
            rules.reads_clock,
            "from datetime import UTC, datetime\nx = datetime.fromtimestamp(0, UTC)",
        ),
        (rules.reads_clock, "def f(clock): return clock.now_ms()"),
        (rules.reads_environment, "import os\nx = os.path.join('a', 'b')"),
        (
            rules.acts_on_import,
            "'Text.'\nimport os\nX: int = 1\nclass A: ...\nif __name__ == '__main__':\n    f()",
        ),
    ],
)
def test_a_rule_leaves_the_rest_alone(rule: Rule, source: str) -> None:
    assert rule(source) == []


def imported(root: Path, *names: str) -> list[str]:
    """What a process did while it imported these modules."""
    watch = Path(__file__).with_name("watch_imports.py")
    done = subprocess.run(
        [sys.executable, watch, root, *names],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_importing_opens_starts_and_connects_nothing() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in modules(*CODE)
        if path.name not in ("wsgi.py", "__main__.py")
    ]
    assert imported(ROOT, *names) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pathlib\nX = pathlib.Path('data.csv').read_text()",
        "import sqlite3\nX = sqlite3.connect(':memory:')",
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import subprocess\nX = subprocess.run(['true'])",
    ],
)
def test_the_watch_sees_such_an_import(tmp_path: Path, source: str) -> None:
    (tmp_path / "data.csv").write_text("")
    (tmp_path / "violating_module.py").write_text(source)
    assert imported(tmp_path, "violating_module") != []
