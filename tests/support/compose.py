"""An installation by infra/compose, made as docs/compose.md says, on a Docker of the tests' own."""

import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from ssl import create_default_context
from typing import Any

from infra.app import App, SignIn
from infra.client import ClientAt
from infra.seaweed import free_ports
from infra.smoke import SAMPLES, SCOPES, Shown
from shared.clock import SystemClock
from tests.support.certificate import self_signed
from tests.support.docker import Docker
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
IMAGES = {
    "smart-gansu": (),
    "smart-gansu-gateway": ("--target=gateway",),
    "smart-gansu-store": ("--target=store",),
    "smart-gansu-tools": ("--target=tools",),
}
PROJECT = "smart-gansu"


class Installation:
    """Containers of one project; `directory` is what `init` fills."""

    def __init__(self, docker: Docker, directory: Path) -> None:
        self.docker = docker
        self.directory = directory
        self.http, self.https = free_ports(2)
        self.url = f"https://localhost:{self.https}"

    def build(self) -> None:
        """The four images."""
        for tag, target in IMAGES.items():
            self.docker.build(ROOT, tag, *target)

    def init(self) -> None:
        """The files; loopback alone, and no limit to a citizen's orders."""
        self.run("infra.compose", "init", "--development", f"--host=localhost:{self.https}")
        with (self.directory / "env").open("a") as env:
            env.write(
                f"GANSU_HTTP_PORT={self.http}\nGANSU_ADDRESS=127.0.0.1\nGANSU_ADDRESS_6=::1\n"
            )
            env.write("GANSU_ORDERS_A_MINUTE=0\nGANSU_WORKERS=1\n")
            # Another run on this machine has another, or each would reach the other's gateway.
            own = self.https % 256
            env.write(f"GANSU_SUBNET=172.30.{own}.0/24\n")
            env.write(f"GANSU_SUBNET_6=fd67:616e:7375:{own:x}::/64\n")
        self.renew()

    def renew(self, *, begins: int = -2, ends: int = 1) -> bytes:
        """A new certificate where the gateway looks for it; what clients are to be shown."""
        draft = self.directory / "draft"
        draft.mkdir(exist_ok=True)
        certificate, key = self_signed(draft, begins=begins, ends=ends)
        for file, name in ((certificate, "certificate.pem"), (key, "key.pem")):
            file.chmod(0o444)
            file.rename(self.directory / "tls" / name)
        return (self.directory / "tls" / "certificate.pem").read_bytes().strip()

    def run(self, module: str, *arguments: str) -> str:
        """A command of the project's, on this machine; what it printed."""
        where = [f"--directory={self.directory}"] if module == "infra.compose" else []
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments, *where],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def compose(self, *arguments: str) -> str:
        return self.docker.compose("--env-file", str(self.directory / "env"), *arguments)

    def up(self) -> None:
        """As the manual says; whatever does not get ready is shown."""
        try:
            self.compose("up", "--detach", "--wait")
        except AssertionError:
            print(self.compose("ps", "--all"), self.compose("logs", "--no-color", "--tail=30"))
            raise

    # Its containers

    def names(self) -> list[str]:
        """What runs, or has run."""
        ours = f"--filter=label=com.docker.compose.project={PROJECT}"
        return self.docker("ps", "--all", ours, "--format={{.Names}}").split()

    def inspect(self, name: str) -> dict[str, Any]:
        [found] = json.loads(self.docker("inspect", name))
        told: dict[str, Any] = found
        return told

    def kill(self, name: str) -> None:
        """SIGKILL to all of it, as a crash would: Docker starts it again by itself."""
        state = self.inspect(f"{PROJECT}-{name}")["State"]
        os.kill(state["Pid"], signal.SIGKILL)

        def again() -> bool:
            now = self.inspect(f"{PROJECT}-{name}")["State"]
            return bool(now["Running"] and now["StartedAt"] != state["StartedAt"])

        wait_until(again, f"{name} to be started again", seconds=60)

    # Its users

    def client(self) -> ClientAt:
        return ClientAt(self.url, self.directory / "tls" / "certificate.pem")

    def token(self, number: str) -> str:
        """An access token for whoever has the number."""
        codes = Shown(self.codes_command(), SystemClock())
        app = App(SAMPLES["app"], SAMPLES["redirect"], (*SCOPES, "stores:read"))
        signed_in = SignIn(app, self.client(), SystemClock(), codes.code, codes.before)
        return str(signed_in.tokens(number)["access_token"])

    def codes_command(self) -> str:
        """What shows the codes that a development install sends to nobody."""
        return f"{self.docker.command} logs {PROJECT}-identity-notices-1"

    def status(self, address: str, path: str, *, tls: bool = True) -> int:
        """What a GET is answered at `host:port`."""
        host, _, port = address.rpartition(":")
        connection: HTTPConnection
        if tls:
            context = create_default_context(cafile=self.directory / "tls" / "certificate.pem")
            context.check_hostname = False
            connection = HTTPSConnection(host.strip("[]"), int(port), timeout=20, context=context)
        else:
            connection = HTTPConnection(host.strip("[]"), int(port), timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()
