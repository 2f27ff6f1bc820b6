"""The real gateway, nginx and all, in front of whatever a test names."""

import json
import socket
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from infra import gateway, nginx
from infra.gateway import Gateway, Service
from infra.seaweed import free_ports
from tests.support.waiting import wait_until


class Addressed(Protocol):
    """Something that listens: `host:port`."""

    @property
    def address(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class GatewayServer:
    """nginx on what `settings` say. Use as a context manager."""

    def __init__(self, settings: Gateway) -> None:
        self.settings = settings
        host, port = settings.listen.rsplit(":", 1)
        self.address = (host, int(port))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "GatewayServer":
        gateway.install(self.settings)
        with (self.settings.logs / "nginx.out").open("wb") as out:
            self._process = subprocess.Popen(
                nginx.argv(self.settings.directory), stdout=out, stderr=out
            )
        wait_until(self._listens, f"nginx; it said {out.name}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=10)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answered:
        """One request on a connection of its own."""
        with closing(self._connection()) as connection:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answered(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )

    def get(self, target: str, **headers: str) -> Answered:
        """A GET; `accept_language="en"` stands for the header Accept-Language."""
        return self.request(
            "GET", target, {name.replace("_", "-"): value for name, value in headers.items()}
        )

    def raw(self, sent: bytes, *, timeout_seconds: float = 10) -> bytes:
        """Everything that comes back for these bytes until the gateway closes."""
        with self.connect(timeout_seconds) as connection:
            connection.sendall(sent)
            received = b""
            while block := connection.recv(65536):
                received += block
            return received

    def connect(self, timeout_seconds: float = 10) -> socket.socket:
        """A bare TCP connection."""
        return socket.create_connection(self.address, timeout=timeout_seconds)

    def log(self, lines: int = 1) -> list[dict[str, Any]]:
        """The access log, once it has that many lines: nginx writes one after it has answered."""
        path = self.settings.logs / "gateway-access.log"
        wait_until(lambda: path.read_text().count("\n") >= lines, f"{lines} lines in {path}")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def _connection(self) -> HTTPConnection:
        if self.settings.tls is None:
            return HTTPConnection(*self.address, timeout=20)
        context = ssl.create_default_context(cafile=str(self.settings.tls.certificate))
        return HTTPSConnection(*self.address, timeout=20, context=context)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "nginx ended by itself"
        try:
            self.connect(1).close()
        except OSError:
            return False
        return True


def certificate_shown(port: int) -> bytes | None:
    """The certificate that clients are shown on this machine; None where nothing answers."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", port)).strip().encode()
    except OSError:
        return None


def before(directory: Path, *upstreams: Addressed, **choices: Any) -> GatewayServer:
    """A gateway on a free port; without other `services` it routes /commerce/ to `upstreams`."""
    if upstreams:
        choices["services"] = (Service("commerce", tuple(each.address for each in upstreams)),)
    return GatewayServer(
        Gateway(
            directory=directory,
            logs=directory / "logs",
            listen=f"127.0.0.1:{free_ports(1)[0]}",
            user=gateway.own_user(),
            **choices,
        )
    )
