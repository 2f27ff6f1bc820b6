"""A service that writes down what reaches it, to stand behind the real gateway in a real gunicorn.

    with Recorder(directory) as recorder, before(directory, recorder) as gateway: …

The gunicorn is the platform's own (infra/gunicorn.conf.py), in a process of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.seaweed import free_ports
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def writing_into(path: str) -> Wsgi:
    """The application: answers with what it writes down, a line a request."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "body": environ["wsgi.input"].read().decode("latin-1"),
            "scheme": environ["wsgi.url_scheme"],
            "headers": {
                name[5:].lower().replace("_", "-"): value
                for name, value in environ.items()
                if name.startswith("HTTP_")
            },
        }
        line = json.dumps(seen).encode()
        with Path(path).open("ab") as file:
            file.write(line + b"\n")
        start_response("200 OK", [("Content-Length", str(len(line)))])
        return [line]

    return application


class Recorder:
    """A gunicorn with that application on a port of its own. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self._seen = directory / "seen"
        self._log = directory / "gunicorn.log"
        self._process: subprocess.Popen[bytes] | None = None

    def seen(self) -> list[dict[str, Any]]:
        """What has reached it."""
        return [json.loads(line) for line in self._seen.read_text().splitlines()]

    def __enter__(self) -> Self:
        self._seen.touch()
        argv = [
            *(sys.executable, "-m", "gunicorn", "--config", "infra/gunicorn.conf.py"),
            *("--bind", self.address, "--workers", "1"),
            f"tests.support.recorder:writing_into('{self._seen}')",
        ]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, "GANSU_ENV": "development"},
                stdout=out,
                stderr=out,
            )
        wait_until(self._is_ready, f"gunicorn; it said {self._log.name}")
        return self

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return "Booting worker" in self._log.read_text()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=20)
