"""Packages of npm's that system tests run, installed once under the digest of their pins."""

import hashlib
import shutil
import subprocess
from pathlib import Path

_CACHE = Path(__file__).parents[2] / ".cache"


def installed(folder: Path) -> Path:
    """A copy of a folder with package.json, package-lock.json and programs, able to run them."""
    npm = shutil.which("npm")
    assert npm, "npm is needed: infra/install-debian-packages"
    pins = (folder / "package-lock.json").read_bytes()
    assert b'"resolved"' not in pins, "pins name no registry: make them with npm's own option"
    name = folder.name.replace("_", "-")
    copy = _CACHE / f"{name}-{hashlib.sha256(pins).hexdigest()[:12]}"
    if not (copy / "node_modules" / ".package-lock.json").exists():
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for program in folder.glob("*.mjs"):
        shutil.copy(program, copy)
    return copy


def node() -> str:
    """The program that runs them."""
    program = shutil.which("node")
    assert program, "node is needed: infra/install-debian-packages"
    return program
