"""What a container of the image is told to run, and how it is found alive."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer

import pytest

from infra import container
from shared.notices import heartbeat
from shared.settings import SettingsError
from shared.settings_of_containers import ContainerSettings
from tests.support.clock import FakeClock


def chosen(**environment: str) -> ContainerSettings:
    return ContainerSettings.from_environ(environment)


def test_without_a_word_it_is_a_web_service_on_port_8000() -> None:
    said = container.gunicorn_arguments(chosen(), ["[::]:8000"])
    assert said[-3:] == ["--bind", "[::]:8000", "services.commerce.wsgi:app"]


@pytest.mark.parametrize(
    ("six_only", "binds"),
    [
        (False, ["[::]:8080"]),
        (True, ["0.0.0.0:8080", "[::]:8080"]),
        (None, ["0.0.0.0:8080"]),
    ],
)
def test_a_port_is_of_every_address_that_there_is(six_only: bool | None, binds: list[str]) -> None:
    assert container.everywhere(8080, six_only=six_only) == binds


def test_a_bind_is_taken_at_its_word() -> None:
    told = chosen(BIND="unix:/run/gansu.sock", PORT="8080")
    assert container.addresses(told) == ["unix:/run/gansu.sock"]
    assert container.addresses(chosen(BIND="127.0.0.1:9000")) == ["127.0.0.1:9000"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("BIND", "8000"),
        ("BIND", "unix:gansu.sock"),
        ("PROCESS", "worker"),
        ("SERVICE", "../commerce"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} "):
        chosen(**{name: value})


class _Answers(BaseHTTPRequestHandler):
    """200 to the one address of the check, and whatever else is 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/tourism/health/live" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it; the address of a Unix client cannot be formatted either."""


class _UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@contextmanager
def answering(server: BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_web_service_is_alive_while_it_says_so_where_it_listens() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    port = str(server.server_address[1])
    with answering(server):
        assert container.is_alive(chosen(SERVICE="tourism", PORT=port))
        assert container.is_alive(chosen(SERVICE="tourism", BIND=f"127.0.0.1:{port}"))
        assert not container.is_alive(chosen(SERVICE="commerce", PORT=port))
    assert not container.is_alive(chosen(SERVICE="tourism", PORT=port))


def test_a_web_service_on_a_socket_is_asked_there(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    told = chosen(SERVICE="tourism", BIND=f"unix:{path}")
    assert not container.is_alive(told)
    with answering(_UnixServer(str(path), _Answers)):  # type: ignore[arg-type]
        assert container.is_alive(told)


def test_a_notifier_is_alive_while_it_leaves_signs(tmp_path: Path) -> None:
    clock = FakeClock()
    assert not heartbeat.is_recent(tmp_path, "health", clock)
    heartbeat.beat(tmp_path / "made", "health", clock)
    clock.pass_wall(seconds=heartbeat.LATE_SECONDS)
    assert heartbeat.is_recent(tmp_path / "made", "health", clock)
    assert not heartbeat.is_recent(tmp_path / "made", "tourism", clock)
    clock.pass_wall(seconds=1)
    assert not heartbeat.is_recent(tmp_path / "made", "health", clock)


def test_a_notifier_that_can_write_nowhere_goes_on_and_is_not_found_alive() -> None:
    nowhere = Path(os.devnull) / "replicas"
    heartbeat.beat(nowhere, "health", FakeClock())
    assert not heartbeat.is_recent(nowhere, "health", FakeClock())
