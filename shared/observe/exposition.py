"""`/metrics` of one container: what its processes count, added up by a process of its own.

    prepare(directory)                       before any process is started
    start(directory, "0.0.0.0:9464", …)      in the master; what it starts ends with the master
    ended(directory, pid)                    in the master, once a process has ended

The library's files are named after processes. What a process counted stays when it ends, or a rate
would show a fall that never was: it is added to one file, so that a process that dies again and
again leaves no file each time. What it said of itself (gauges) goes with it. Adding up and reading
take turns by a lock, so that nothing is seen twice or not at all.

Nothing that goes wrong here is worth the container: gunicorn's master would end by it.

Whoever reaches the port reads everything, once at a time, and nothing there is about a person.
"""

import fcntl
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from shared.observe import room
from shared.observe.measures import SERVICES

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between looks at whether the master lives."""

CLIENT_SECONDS = 5.0
"""How long one reader may keep all others waiting."""

_ADDED_UP = ("counter", "histogram")
_ENDED = "ended"
_PATH = "/metrics"


def prepare(directory: Path) -> None:
    """Begin with nothing: what an earlier container left there was counted under other pids."""
    shutil.rmtree(directory, ignore_errors=True)
    try:
        room.take(directory, _ENDED, [each for each in SERVICES if each.kind in _ADDED_UP])
    except OSError as error:
        log.error("nothing can be counted in %s: %s", directory, error)


def ended(directory: Path, pid: int) -> None:
    """Keep what a process counted, and forget what it was."""
    try:
        with _alone(directory):
            mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
            for unfinished in directory.glob(f"*_{pid}{room.UNFINISHED}"):
                unfinished.unlink()
            for kind in _ADDED_UP:
                _keep(directory / f"{kind}_{pid}.db", directory / f"{kind}_{_ENDED}.db")
    except Exception as error:  # noqa: BLE001 - whatever a process that died has left there
        log.error("what process %d counted is lost: %r", pid, error)


def text(directory: Path) -> bytes:
    """All measures of all processes, as Prometheus reads them."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    with _alone(directory):
        return generate_latest(registry)


def start(directory: Path, bind: str, let_go: Callable[[], None]) -> int:
    """Fork the process that serves `/metrics`; its pid. `let_go` closes, there, what only the
    master is to hold. To be called while the master has one thread.
    """
    master = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        let_go()
        server = listening(bind, lambda: text(directory))
        while os.getppid() == master:
            server.handle_request()
    except Exception as error:  # noqa: BLE001 - the container serves without
        log.error("metrics are not served at %s: %s", bind, error)
    finally:
        # Nothing of the master's is to be finished here.
        os._exit(1)


def listening(bind: str, read: Callable[[], bytes]) -> HTTPServer:
    """A server of what `read` gives; `handle_request` waits for one for a second at most.

    Raises OSError where it cannot listen.
    """
    host, _, port = bind.rpartition(":")
    server = _Server((host.strip("[]"), int(port)), _Handler)
    server.read = read
    return server


def serve(bind: str, read: Callable[[], bytes], stopping: threading.Event) -> None:
    """Serve `/metrics` in a thread of this process. Raises OSError where it cannot listen."""
    server = listening(bind, read)

    def loop() -> None:
        while not stopping.is_set():
            server.handle_request()
        server.server_close()

    threading.Thread(target=loop, name="metrics", daemon=True).start()


class _Server(HTTPServer):
    timeout = LOOK_SECONDS
    read: Callable[[], bytes]

    def __init__(self, address: tuple[str, int], handler: type["_Handler"]) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away is nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        """Answer a reader."""
        if self.path.partition("?")[0] != _PATH:
            self.send_error(404)
            return
        try:
            body = self.server.read()
        except Exception as error:  # noqa: BLE001 - a reader hears of it, and comes again
            log.error("what is counted cannot be read: %r", error)
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the library's name
        """Readers come every few seconds; nobody wants to know."""


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _keep(left: Path, kept: Path) -> None:
    """Move what is left to what is kept. A file that cannot be read must not stay either: nobody
    could read the others for it.
    """
    if not left.exists():
        return
    try:
        if kept.exists():  # else there was no room for it
            _add_up(left, kept)
    finally:
        left.unlink()


def _add_up(left: Path, kept: Path) -> None:
    files: Any = MmapedDict
    sums = files(str(kept))
    try:
        for key, value, _, _ in files.read_all_values_from_file(str(left)):
            before, _ = sums.read_value(key)
            sums.write_value(key, before + value, 0.0)
    finally:
        sums.close()
