"""Each contract of import-linter breaks on a tree that violates it, and on no other."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.rules import ROOT

ROLES = ("wsgi", "app", "routes", "schemas", "actions", "domain")

LAWFUL = {
    "shared/__init__.py": "",
    "shared/glue.py": "import flask",
    "shared/storage/__init__.py": "",
    "shared/storage/s3.py": "import boto3\nfrom botocore.config import Config",
    "shared/storage/replica.py": "",
    **{f"shared/{name}/__init__.py": "" for name in ("auth", "notices", "observe", "web")},
    "shared/tracing.py": "",
    "shared/observe/metrics.py": "import prometheus_client, shared.storage.replica, shared.web",
    "shared/observe/traces.py": "import opentelemetry.sdk.trace, shared.tracing",
    "services/__init__.py": "",
    **{f"services/{name}/__init__.py": "" for name in ("commerce", "tourism")},
    **{f"services/{name}/{role}.py": "" for name in ("commerce", "tourism") for role in ROLES},
    "services/commerce/wsgi.py": "import services.commerce.app",
    "services/commerce/app.py": "import services.commerce.routes, shared.storage.s3",
    "services/commerce/routes.py": "import flask, services.commerce.schemas, shared.glue",
    "services/commerce/actions.py": "import services.commerce.domain, shared.storage.replica",
}

VIOLATIONS = {
    "shared-below": ("shared/glue.py", "import services.commerce.domain"),
    "services-apart": ("services/commerce/routes.py", "import services.tourism.domain"),
    "roles": ("services/commerce/domain.py", "import services.commerce.actions"),
    "pure-domain": ("services/commerce/actions.py", "import shared.glue"),
    "one-store-client": ("shared/glue.py", "import botocore.auth"),
    "observers": ("shared/glue.py", "import opentelemetry.trace"),
    "observed-from-outside": ("shared/storage/replica.py", "import shared.observe.traces"),
}


def contracts() -> dict[str, str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {each["id"]: each["name"] for each in config["tool"]["importlinter"]["contracts"]}


def broken(tree: Path) -> set[str]:
    """The contracts that this tree breaks, by id."""
    shutil.copy(ROOT / "pyproject.toml", tree)
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,  # its verdicts are what is read
        timeout=60,
    )
    said = re.sub(r"\s+", " ", done.stdout)
    verdicts = {
        key: re.search(re.escape(name) + " (KEPT|BROKEN)", said)
        for key, name in contracts().items()
    }
    assert all(verdicts.values()), done.stdout + done.stderr
    return {key for key, verdict in verdicts.items() if verdict and verdict[1] == "BROKEN"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, source in LAWFUL.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def test_a_lawful_tree_breaks_none(tree: Path) -> None:
    assert broken(tree) == set()


def test_every_contract_has_a_violation_here() -> None:
    assert contracts().keys() == VIOLATIONS.keys()


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_breaks_its_contract(tree: Path, contract: str) -> None:
    name, source = VIOLATIONS[contract]
    path = tree / name
    path.write_text(f"{path.read_text()}\n{source}\n")
    assert contract in broken(tree)


@pytest.mark.parametrize("higher", range(len(ROLES) - 1))
def test_no_role_imports_the_one_above(tree: Path, higher: int) -> None:
    path = tree / f"services/tourism/{ROLES[higher + 1]}.py"
    path.write_text(f"import services.tourism.{ROLES[higher]}\n")
    assert broken(tree) == {"roles"}


@pytest.mark.parametrize(
    ("name", "source", "contract"),
    [
        ("notices", "import services.commerce.actions", "roles"),
        ("actions", "import services.commerce.notices", "roles"),
        ("domain", "import services.commerce.notices", "roles"),
        ("app", "import services.commerce.notify", "roles"),
        ("notify", "import services.commerce.wsgi", "roles"),
        ("notices", "import shared.glue", "pure-domain"),
        ("notices", "import services.tourism.domain", "services-apart"),
    ],
)
def test_notices_stand_beside_actions_and_their_process_beside_wsgi(
    tree: Path, name: str, source: str, contract: str
) -> None:
    (tree / "services/commerce/notices.py").write_text("import services.commerce.domain\n")
    (tree / "services/commerce/notify.py").write_text(
        "import services.commerce.notices, shared.storage.s3\n"
    )
    assert broken(tree) == set()
    path = tree / f"services/commerce/{name}.py"
    path.write_text(f"{path.read_text()}\n{source}\n")
    assert contract in broken(tree)


def test_a_service_need_not_have_every_role(tree: Path) -> None:
    (tree / "services/tourism/wsgi.py").unlink()
    assert broken(tree) == set()
