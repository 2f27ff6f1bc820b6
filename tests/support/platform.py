"""The whole platform as `make run` starts it, in a directory and on a port of its own."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from infra import processes
from infra.gateway import Tls
from infra.layout import Layout
from infra.seaweed import free_ports
from infra.sign_in import SampleApp
from shared.clock import SystemClock
from tests.support.gateway import Answered
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
READY = "Ctrl-C stops everything."
START_SECONDS = 90


class Platform:
    """A runner and what it runs. `start` again continues on the same data and port."""

    def __init__(self, directory: Path, *options: str, tls: Tls | None = None) -> None:
        self.layout = Layout(directory)
        self.port = free_ports(1)[0]
        self.options = options
        self.tls = tls
        self.runner: subprocess.Popen[bytes] | None = None

    # Its life

    def start(self) -> None:
        """Return when it says that it is ready."""
        self.layout.root.mkdir(parents=True, exist_ok=True)
        with self.said_file.open("wb") as out:
            self.begin(out.fileno())
        wait_until(self._is_ready, "the platform", seconds=START_SECONDS)

    def begin(self, out: int) -> None:
        """Start the runner, which tells its person by the descriptor `out`."""
        self.runner = subprocess.Popen(
            self.command(), cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )

    def command(self) -> list[str]:
        """How it is started."""
        where = ["--directory", str(self.layout.root), "--port", str(self.port)]
        if self.tls is not None:
            where += ["--certificate", str(self.tls.certificate), "--key", str(self.tls.key)]
        return [sys.executable, "-m", "infra.run", *where, *self.options]

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask for the end, as Ctrl-C does; the exit status."""
        assert self.runner is not None
        self.runner.send_signal(number)
        status = self.runner.wait(timeout=60)
        self.runner = None
        return status

    def kill_runner(self) -> None:
        """SIGKILL to the runner alone."""
        assert self.runner is not None
        self.runner.kill()
        self.runner.wait()
        self.runner = None

    def kill_everything(self) -> None:
        """SIGKILL to every process at once, the guard included, as a power cut would."""
        assert self.runner is not None
        self.runner.send_signal(signal.SIGSTOP)  # or it would start again what it sees dying
        for child in self.children():
            os.killpg(child, signal.SIGKILL)
        self.kill_runner()

    def end(self) -> None:
        """Leave nothing, whatever a test has done."""
        if self.runner is not None:
            with suppress(ProcessLookupError, FileNotFoundError):  # it may have ended by itself
                self.kill_everything()
        for lock in processes.left(self.layout.processes):
            with suppress(ProcessLookupError, ValueError):
                os.killpg(int(lock.read_text()), signal.SIGKILL)

    def children(self) -> list[int]:
        """The runner's own children; each leads a session of its own."""
        assert self.runner is not None
        pid = self.runner.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def living(self, sessions: list[int]) -> list[str]:
        """What still runs in these sessions, zombies aside."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                name, _, rest = stat.read_text().rpartition(")")
                state, _, _, session = rest.split()[:4]
                if int(session) in sessions and state != "Z":
                    found.append(name)
        return found

    @property
    def said_file(self) -> Path:
        return self.layout.root.with_suffix(".said")

    def said(self) -> str:
        """Everything that the runner has told the person before it."""
        return self.said_file.read_text()

    def _is_ready(self) -> bool:
        assert self.runner is not None
        assert self.runner.poll() is None, self.said()
        return READY in self.said()

    # Its clients

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """One request through the gateway."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        with closing(self._connection()) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, names, answer.read())

    def _connection(self) -> HTTPConnection:
        if self.tls is None:
            return HTTPConnection("127.0.0.1", self.port, timeout=30)
        context = ssl.create_default_context(cafile=str(self.tls.certificate))
        return HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)

    def get(self, path: str, token: str | None = None) -> Any:
        """What a GET answers, which has to be 200."""
        answer = self.request("GET", path, token=token)
        assert answer.status == 200, answer
        return answer.json()

    def token(self, account: str) -> str:
        """An access token for a sample account, which signs in as a person does."""
        return SampleApp(self.layout, SystemClock()).token(account)

    def order(self, token: str, product: str, quantity: int, key: str) -> Answered:
        """Place an order of one line."""
        lines = [{"product_id": product, "quantity": quantity}]
        return self.request(
            "POST",
            "/commerce/v1/orders",
            {"lines": lines},
            token=token,
            headers={"Idempotency-Key": key},
        )
