"""The platform's parts, one by one, to be hurt: store, containers and gateways as `make run` has
them, and none of its supervising.

    with Fleet(tmp_path, containers=2) as fleet:
        fleet.containers[0].kill()
        fleet.containers[0].start()

Every part is configured by `infra`. What is added here is a hold on each: it can be killed, frozen
and started again, on the same data and at the same place. Tokens are signed here, with a key that
the containers are told to trust. Whatever a test leaves running or frozen ends with the fleet;
should the test process itself be killed, a guard sees to that.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from infra import gateway, guard, processes, programs, stores
from infra.credentials import Credentials
from infra.layout import Layout
from infra.observed import Observed
from infra.processes import Program
from infra.programs import Plan
from infra.provision import provision
from infra.seaweed import Seaweed, free_ports
from infra.seeds import account_of
from shared.auth.subjects import service_subject
from shared.clock import SystemClock
from shared.settings import Settings
from shared.storage.s3 import S3Address, S3Store
from tests.support.ceph import CephServer
from tests.support.fault_proxy import FaultProxy
from tests.support.ledger import Ledger, Told, audit, contradictions, entries_of
from tests.support.tokens import Issuer, roles_of
from tests.support.waiting import wait_until

TOKEN_SECONDS = 12 * 3600
"""Longer than any proof."""

_CREDENTIALS = Credentials("test-access-key", "test-secret-key-of-the-store", "test-master-key" * 3)


class Door:
    """A place that speaks HTTP: a port of this machine, or a container's own socket."""

    def __init__(self, place: int | Path, service: str) -> None:
        self._place = place
        self._service = service

    def connection(self, timeout_seconds: float = 30) -> HTTPConnection:
        if isinstance(self._place, int):
            return HTTPConnection("127.0.0.1", self._place, timeout=timeout_seconds)
        return _UnixConnection(self._place, timeout_seconds)

    def is_ready(self) -> bool:
        """Whether the service can serve behind this door."""
        connection = self.connection(5)
        try:
            connection.request("GET", f"/{self._service}/health/ready")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Part:
    """One program of the platform; `start` after `kill` continues on the same data."""

    def __init__(self, program: Program, layout: Layout) -> None:
        self.program = program
        self._layout = layout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.program.name} does not run"
        return self._process.pid

    @property
    def log(self) -> Path:
        return self._layout.logs / f"{self.program.name}.log"

    def start(self) -> None:
        self._process = processes.start(self.program, self._layout.processes, self.log)

    def kill(self) -> None:
        """SIGKILL to all its processes; return when none is left."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        lock = processes.lock_of(self.program.name, self._layout.processes)
        processes.end(lock, SystemClock(), signal.SIGKILL, 0)
        self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP to all its processes for the block."""
        os.killpg(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.pid, signal.SIGCONT)


class Container(Part):
    """A container: a gunicorn master, its workers, a replica directory of their own."""

    def __init__(self, program: Program, layout: Layout, service: str) -> None:
        super().__init__(program, layout)
        self.door = Door(layout.sockets / f"{program.name}.sock", service)
        self.replicas = Path(program.environment["GANSU_REPLICA_DIRECTORY"])

    def workers(self) -> list[int]:
        """The pids of the worker processes."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def committing(self) -> int | None:
        """The worker that holds the commit lock right now, as the kernel lists it."""
        found = [path.stat() for path in self.replicas.rglob("main.lock")]
        inodes = {f"{os.major(s.st_dev):02x}:{os.minor(s.st_dev):02x}:{s.st_ino}" for s in found}
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if "FLOCK" in fields and "->" not in fields and inodes.intersection(fields):
                return int(fields[4])
        return None

    def await_all_committing(self) -> None:
        """Return once each worker has been seen to commit: a new one takes a while to start."""
        seen: set[int | None] = set()

        def all_seen() -> bool:
            seen.add(self.committing())
            return seen.issuperset(self.workers())

        wait_until(all_seen, "every worker commits", step_seconds=0.001)

    def freeze_committing(self, seconds: float = 20) -> int:
        """SIGSTOP a worker that holds the commit lock and, being stopped, keeps it; its pid."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid = self.committing()
            if pid is None:
                continue
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda pid=pid: _is_stopped(pid), "the worker stops")  # type: ignore[misc]
            if self.committing() == pid:
                return pid
            os.kill(pid, signal.SIGCONT)
        raise AssertionError(f"nobody held the commit lock of {self.program.name}")


class StoreServer(Protocol):
    """The fleet's object store; `start` after `kill` continues on the same data and port."""

    def start(self) -> None:
        """Start what does not run of it; return when it answers."""

    def kill(self) -> None:
        """SIGKILL to all of it."""

    def kill_some(self, chance: random.Random) -> None:
        """SIGKILL to a part of it, or to all."""

    def frozen(self) -> AbstractContextManager[None]:
        """SIGSTOP to all of it for the block."""


class _SeaweedPart(Part):
    """SeaweedFS is one process."""

    def __init__(self, seaweed: Seaweed, layout: Layout) -> None:
        super().__init__(self._program(seaweed, layout), layout)
        self._seaweed = seaweed

    def start(self) -> None:
        self.program = self._program(self._seaweed, self._layout)
        super().start()
        wait_until(self._seaweed.is_ready, f"SeaweedFS; its log is {self.log}")

    def kill_some(self, chance: random.Random) -> None:
        self.kill()

    @staticmethod
    def _program(seaweed: Seaweed, layout: Layout) -> Program:
        return Program("store", tuple(seaweed.argv()), layout.store)


def _is_stopped(pid: int) -> bool:
    states = [
        path.read_text().rpartition(")")[2].split()[0]
        for path in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


class Fleet:
    """Everything, on free ports and under one directory. Use as a context manager.

    `gateways`: the nth one sends writes to the nth container first. With `faults` the containers
    reach their store through `proxy`. With `ceph` their store is Ceph rather than SeaweedFS. What
    they tell of themselves is as `observed` says.
    `told` is what all clients together were told.
    """

    def __init__(
        self,
        root: Path,
        *,
        service: str = "commerce",
        containers: int = 1,
        gateways: int = 1,
        faults: bool = False,
        ceph: bool = False,
        observed: Observed | None = None,
    ) -> None:
        self.service = service
        self.layout = Layout(root.absolute())
        self._ports = free_ports(1 + gateways)
        self._plan = Plan(
            self.layout, _CREDENTIALS, self._ports[1], containers, observed=observed or Observed()
        )
        self._ending = ExitStack()
        self.told = Told()
        self.store, self._endpoint = self._ceph() if ceph else self._seaweed()
        self.proxy = FaultProxy(self._endpoint) if faults else None
        self.containers: list[Container] = []
        self.doors = [Door(port, service) for port in self._ports[1:]]

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            ending.push(self._ending.pop_all())
            self._start(ending)
            self._ending = ending.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ending.close()

    def _start(self, ending: ExitStack) -> None:
        self.layout.prepare()
        self._issuer = self._open_issuer()
        watch = guard.start(self.layout)
        ending.callback(watch.wait)
        assert watch.stdin is not None
        ending.callback(watch.stdin.close)
        ending.callback(self.store.kill)
        self.store.start()
        if self.proxy is not None:
            ending.enter_context(self.proxy)
        # A few accounts order here for a whole province.
        environment = {**self._store_environment(), "GANSU_ORDERS_A_MINUTE": "0"}
        provision(Settings.from_environ({"GANSU_ENV": "development", **environment}), SystemClock())
        for program in programs.containers(self._plan, self.service, self._proxied(environment)):
            container = Container(program, self.layout, self.service)
            self.containers.append(container)
            ending.callback(container.kill)
            container.start()
        for number in range(len(self.doors)):
            door = Part(self._gateway(number), self.layout)
            ending.callback(door.kill)
            door.start()
        telling = programs.telemetry(self._plan)
        if telling is not None:
            telemetry = Part(telling, self.layout)
            ending.callback(telemetry.kill)
            telemetry.start()
        self.wait_ready()

    def _open_issuer(self) -> Issuer:
        """A key that the containers are told to trust, in place of identity's: a crowd is not to
        wait for hundreds of sign-ins, which are tried elsewhere.
        """
        issuer = Issuer(SystemClock(), issuer=f"{self._plan.url}/identity")
        self.layout.keys.write_bytes(issuer.published)
        return issuer

    # Store

    def _seaweed(self) -> tuple[StoreServer, str]:
        """The store and its endpoint."""
        seaweed = Seaweed(
            directory=self.layout.store,
            port=self._ports[0],
            access_key=_CREDENTIALS.store_access_key,
            secret_key=_CREDENTIALS.store_secret_key,
            bin=Path(sys.prefix) / "bin" / "weed",
        )
        self._ending.callback(seaweed.remove_sockets)
        return _SeaweedPart(seaweed, self.layout), seaweed.endpoint

    def _ceph(self) -> tuple[StoreServer, str]:
        credentials = (_CREDENTIALS.store_access_key, _CREDENTIALS.store_secret_key)
        server = CephServer(self.layout.store, *credentials)
        return server, server.endpoint

    def _store_environment(self) -> dict[str, str]:
        return stores._environment(self._endpoint, _CREDENTIALS)

    def _proxied(self, environment: dict[str, str]) -> dict[str, str]:
        if self.proxy is None:
            return environment
        return {**environment, "GANSU_STORE_ENDPOINT": self.proxy.endpoint}

    @contextmanager
    def bucket(self) -> Iterator[S3Store]:
        """The bucket itself, past any proxy."""
        address = S3Address(
            self._store_environment()["GANSU_STORE_BUCKET"],
            self._endpoint,
            access_key=_CREDENTIALS.store_access_key,
            secret_key=_CREDENTIALS.store_secret_key,
        )
        store = S3Store(address, SystemClock())
        try:
            yield store
        finally:
            store.close()

    # Gateways

    def _gateway(self, number: int) -> Program:
        """The gateway of `make run`, or another one beside it that prefers another container."""
        if number == 0:
            return programs.door(self._plan)
        names = [container.program.name for container in self.containers]
        preferred = names[number:] + names[:number]
        sockets = tuple(f"unix:{self.layout.sockets / name}.sock" for name in preferred)
        folder = self.layout.root / f"gateway-{number}"
        gateway.install(
            gateway.Gateway(
                folder,
                folder / "logs",
                (gateway.Service(self.service, sockets),),
                listen=f"127.0.0.1:{self._ports[1 + number]}",
                user=gateway.own_user(),
            )
        )
        return Program(folder.name, tuple(gateway.argv(folder)), folder)

    def wait_ready(self) -> None:
        """Return when every container, and every gateway before them, can serve."""
        for container in self.containers:
            wait_until(container.door.is_ready, f"{container.program.name}; see {container.log}")
        for door in self.doors:
            wait_until(door.is_ready, "the gateway")

    def restart(self) -> None:
        """Kill the store and every container, and start them all again: nothing is under way
        then, anywhere.
        """
        for container in self.containers:
            container.kill()
        self.store.kill()
        self.store.start()
        for container in self.containers:
            container.start()
        self.wait_ready()

    # People

    def token(self, account: str) -> str:
        """An access token for an account whose name says what it is, such as citizen-17."""
        expires = SystemClock().now_ms() // 1000 + TOKEN_SECONDS
        return self._issuer.token(account_of(account), roles=roles_of(account), exp=expires)

    def subject(self, account: str) -> str:
        """What the service stores for an account."""
        return service_subject(
            account_of(account), _CREDENTIALS.key_of(self.service, "subject").encode()
        )

    def plant(self) -> None:
        """Plant the service's samples."""
        program = programs.seed(self._plan, self.service, self._store_environment())
        said = self.layout.logs / f"{program.name}.log"
        process = processes.start(program, self.layout.processes, said)
        assert process.wait(timeout=60) == 0, said.read_text()

    # The end of every proof

    def assert_books_agree(self) -> Ledger:
        """The journal breaks no law and contradicts nobody."""
        with self.bucket() as bucket:
            ledger = audit(entries_of(bucket, f"{self.service}/"))
        assert ledger.faults == []
        assert contradictions(ledger, self.told) == []
        return ledger
