"""The object store that a local platform stands on: embedded, throw-away, or somebody else's.

Each choice is the environment that services need to reach it and, where it is ours to run, the
program that is it.
"""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from infra.credentials import Credentials
from infra.layout import Layout
from infra.processes import Program
from infra.rights import programs
from infra.seaweed import Seaweed, free_ports

PROGRAM = "store"

_GIVEN = (
    "GANSU_STORE_ENDPOINT",
    "GANSU_STORE_BUCKET",
    "GANSU_STORE_ACCESS_KEY",
    "GANSU_STORE_SECRET_KEY",
)


@dataclass(frozen=True, slots=True)
class Store:
    """A store and how it is spoken of to a person. `clear` removes what its end leaves behind.

    `environment` is how its operator reaches it. With `users`, secrets by program, each program has
    rights of its own there, by the buckets' policies.
    """

    title: str
    environment: Mapping[str, str]
    program: Program | None = None
    is_ready: Callable[[], bool] = lambda: True
    clear: Callable[[], None] = lambda: None
    users: Mapping[str, str] = field(default_factory=dict)

    def environment_of(self, program: str) -> Mapping[str, str]:
        """How a program reaches it."""
        secret = self.users.get(user_of(program))
        if secret is None:
            return self.environment
        own = {"GANSU_STORE_ACCESS_KEY": user_of(program), "GANSU_STORE_SECRET_KEY": secret}
        return {**self.environment, **own}


def user_of(program: str) -> str:
    """What a store calls a program's user, as `infra.kinds` has it."""
    return f"gansu-{program}"


def seaweed(layout: Layout, credentials: Credentials) -> Store:
    """SeaweedFS on disk, on loopback: what it acknowledged outlives any crash but the machine's."""
    users = {user_of(name): credentials.key_of(name, "store") for name in programs()}
    server = Seaweed(
        directory=layout.store,
        port=free_ports(1)[0],
        access_key=credentials.store_access_key,
        secret_key=credentials.store_secret_key,
        bin=Path(sys.prefix) / "bin" / "weed",
        users=users,
    )
    program = Program(
        PROGRAM,
        tuple(server.argv()),
        layout.store,
        stop_signal=signal.SIGKILL,  # see Seaweed: it dawdles on SIGTERM, and gains nothing by it
        grace_seconds=5,
    )
    return Store(
        f"SeaweedFS, {server.endpoint}, kept in {layout.store}",
        _environment(server.endpoint, credentials),
        program,
        server.is_ready,
        server.remove_sockets,
        users,
    )


def moto(credentials: Credentials) -> Store:
    """One request at a time, everything in memory."""
    port = free_ports(1)[0]
    endpoint = f"http://127.0.0.1:{port}"
    program = Program(
        PROGRAM, (sys.executable, "-m", "infra.moto_store", str(port)), Path.cwd(), grace_seconds=2
    )
    return Store(
        f"moto, {endpoint}, forgets everything when it stops",
        _environment(endpoint, credentials),
        program,
        lambda: _answers(port),
    )


def given(environment: Mapping[str, str]) -> Store:
    """What GANSU_STORE_ENDPOINT and its companions name; services inherit them from the runner.

    Raises ValueError where one is missing: the defaults of development name the embedded store.
    """
    missing = [name for name in _GIVEN if not environment.get(name)]
    if missing:
        raise ValueError(f"STORE=s3 needs {', '.join(missing)} in the environment")
    bucket, endpoint = environment["GANSU_STORE_BUCKET"], environment["GANSU_STORE_ENDPOINT"]
    return Store(f"bucket {bucket} at {endpoint}", {})


def _environment(endpoint: str, credentials: Credentials) -> dict[str, str]:
    return {
        "GANSU_STORE_ENDPOINT": endpoint,
        "GANSU_STORE_REGION": "us-east-1",
        "GANSU_STORE_PROFILE": "if-none-match",
        "GANSU_STORE_BUCKET": "gansu-state",
        "GANSU_KEYS_BUCKET": "gansu-keys",
        "GANSU_MEDIA_BUCKET": "gansu-media",
        "GANSU_AUDIT_BUCKET": "gansu-audit",
        "GANSU_STORE_PREFIX": "",
        "GANSU_STORE_ACCESS_KEY": credentials.store_access_key,
        "GANSU_STORE_SECRET_KEY": credentials.store_secret_key,
    }


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
