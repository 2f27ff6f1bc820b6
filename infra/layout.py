"""Where the runner keeps what it makes, all under one directory, `.run` unless told otherwise.

.run/runner.lock    held by the runner while it lives
.run/processes/     one lock a program, held by the program's own processes
.run/secrets        made once, readable by the owner only
.run/environment/   the variables that each program was started with, to be sourced by a shell
.run/logs/          what the programs say, bounded
.run/store/         the embedded object store: the only state
.run/replicas/      derived from the store, lost at will
.run/sockets/       where services listen
.run/gateway/       nginx's configuration, cache and temporary files
.run/keys.json      identity's public keys, as its services read them
.run/sign-ins/      what `make token` keeps of its sign-ins, readable by the owner only
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A socket's path fits 104 bytes on macOS and 108 on Linux, its end included.
_SOCKET_PATH_BYTES_MAX = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """The names under `root`, which is absolute. Nothing is made but by `prepare`."""

    root: Path

    @property
    def runner_lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def processes(self) -> Path:
        return self.root / "processes"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def environment(self) -> Path:
        return self.root / "environment"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def replicas(self) -> Path:
        return self.root / "replicas"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway"

    @property
    def keys(self) -> Path:
        return self.root / "keys.json"

    @property
    def sign_ins(self) -> Path:
        return self.root / "sign-ins"

    @property
    def sockets(self) -> Path:
        """Beside the rest where paths are short enough for a socket, else in the system's
        temporary folder under a name that follows from `root`.
        """
        near = self.root / "sockets"
        if len(os.fsencode(near / "longest-name-12.sock")) <= _SOCKET_PATH_BYTES_MAX:
            return near
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"gansu-{os.geteuid()}-{digest}"

    def prepare(self) -> None:
        """Make the folders, for the owner only. Raises OSError where that cannot be done."""
        for folder in (self.root, self.sockets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise PermissionError(f"{folder} belongs to another user")
        private = (self.processes, self.logs, self.environment, self.sign_ins)
        for folder in (*private, self.store, self.replicas, self.gateway):
            folder.mkdir(mode=0o700, exist_ok=True)
