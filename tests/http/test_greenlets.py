"""The worker that serves requests as greenlets, by gunicorn with the platform's settings."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.pool import Pool

from infra.seaweed import free_ports
from shared.web.greenlets import Connections, Worker
from shared.web.greenlets import _Server as ServerOf
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
CROWD = 24


class Server:
    """gunicorn, as it runs services, with `tests/support/greenlet_app.py`."""

    def __init__(self, log: Path, processes: int, **environment: str) -> None:
        self.port = free_ports(1)[0]
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--config", "infra/gunicorn.conf.py"),
                    *("--bind", f"127.0.0.1:{self.port}", "--workers", str(processes)),
                    "tests.support.greenlet_app:app",
                ],
                cwd=ROOT,
                env={**os.environ, "GANSU_ENV": "development", **environment},
                stdout=out,
                stderr=out,
            )

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, path: str, connection: HTTPConnection | None = None) -> str:
        asked = connection or self.connect()
        asked.request("GET", path)
        answer = asked.getresponse().read().decode()
        if connection is None:
            asked.close()
        return answer

    def workers(self) -> set[int]:
        """The processes that answer connections that are held at once."""
        with self.crowd(CROWD) as crowd:
            return {int(self.ask("/pid", each)) for each in crowd}

    def answers(self) -> bool:
        try:
            return bool(self.ask("/pid"))
        except OSError:
            return False

    @contextmanager
    def crowd(self, size: int) -> Iterator[list[HTTPConnection]]:
        """So many connections, all kept open."""
        with ExitStack() as stack:
            crowd = [self.connect() for _ in range(size)]
            for each in crowd:
                stack.callback(each.close)
                each.connect()
            yield crowd

    def is_stopping(self) -> bool:
        """Whether whoever answers sends its clients away."""
        with closing(self.connect()) as asking:
            asking.request("GET", "/pid")
            answer = asking.getresponse()
            answer.read()
            return answer.getheader("Connection") == "close"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@contextmanager
def serving(log: Path, processes: int, **environment: str) -> Iterator[Server]:
    server = Server(log, processes, **environment)
    try:
        wait_until(server.answers, f"gunicorn; it said {log}", seconds=30)
        wait_until(lambda: len(server.workers()) == processes, "every process", seconds=30)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("one") / "log", 1) as server:
        yield server


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("two") / "log", 2) as server:
        yield server


class Asking(threading.Thread):
    """A question that is on its way."""

    def __init__(self, server: Server, path: str) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._path = path
        self.answer = ""
        self.start()

    def run(self) -> None:
        self.answer = self._server.ask(self._path)


@pytest.mark.parametrize("way", ["signal", "apart"])
def test_who_waits_lets_others_go_on(one: Server, way: str) -> None:
    waiting = [Asking(one, f"/{way}?1500") for _ in range(5)]
    for _ in range(20):
        assert one.ask("/pid")
    assert all(each.is_alive() for each in waiting), "they waited meanwhile"
    for each in waiting:
        each.join(20)
    assert {each.answer for each in waiting} == {"told" if way == "signal" else "apart"}


@pytest.mark.parametrize(("after_ms", "heard"), [(0, "told"), (20, "told"), (400, "late")])
def test_patience_ends(one: Server, after_ms: int, heard: str) -> None:
    assert one.ask(f"/patience?{after_ms}") == heard


def test_many_signals_are_told_apart(one: Server) -> None:
    asked = [Asking(one, f"/patience?{0 if place % 2 else 500}") for place in range(40)]
    for each in asked:
        each.join(20)
    assert [each.answer for each in asked] == ["late", "told"] * 20


def test_what_is_raised_apart_is_heard_by_who_asked_and_by_no_log(one: Server) -> None:
    assert one.ask("/refused") == "a secret"
    log = one.log.read_text(encoding="utf-8")
    assert "a secret" not in log
    assert "Traceback" not in log


def test_what_is_done_alone_waits_for_none_of_those_that_wait_for_it(tmp_path: Path) -> None:
    """Four threads, and more who block in them until it is done."""
    with serving(tmp_path / "log", 1, GANSU_THREADS="4") as server:
        asked = [Asking(server, "/alone?1000") for _ in range(12)]
        for each in asked:
            each.join(20)
        assert sorted(each.answer for each in asked) == ["led", *["told"] * 11]


def test_every_process_gets_its_share_of_connections(two: Server) -> None:
    with two.crowd(CROWD) as crowd:
        held = Counter(two.ask("/pid", each) for each in crowd)
    assert len(held) == 2
    assert min(held.values()) >= CROWD // 4, held


def test_a_process_that_stands_still_gets_its_connections_taken_by_the_other(two: Server) -> None:
    frozen, other = two.workers()
    os.kill(frozen, signal.SIGSTOP)
    try:
        with two.crowd(CROWD) as crowd:
            # What the frozen one had accepted by then is left out; it had accepted nothing.
            assert {two.ask("/pid", each) for each in crowd} == {str(other)}
    finally:
        os.kill(frozen, signal.SIGCONT)
    wait_until(lambda: frozen in two.workers(), "the process that stood still", seconds=30)


def test_a_process_that_died_is_replaced_and_gets_its_share(two: Server) -> None:
    dead, other = two.workers()
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: len(two.workers() - {dead}) == 2, "a new process", seconds=30)
    with two.crowd(CROWD) as crowd:
        held = Counter(two.ask("/pid", each) for each in crowd)
    assert str(dead) not in held
    assert held[str(other)] <= CROWD * 3 // 4


def test_a_client_that_always_asks_does_not_keep_others_waiting(one: Server) -> None:
    """It sends 150 requests at once, each of which takes the processor for 5 ms. The middle of
    three times counts: this client may be kept from asking itself, or come first by chance.
    """
    request = b"GET /busy?5 HTTP/1.1\r\nHost: here\r\n\r\n"
    address = ("127.0.0.1", one.port)
    turns = []
    with socket.create_connection(address, timeout=20) as greedy, closing(one.connect()) as other:
        for _ in range(3):
            greedy.sendall(request)
            answers = bytearray(greedy.recv(1 << 16))
            before = int(one.ask("/busy?0", other))
            greedy.sendall(request * 149)
            turns.append(int(one.ask("/busy?0", other)) - before)
            while answers.count(b"200 OK") < 150:
                answers += greedy.recv(1 << 16)
    # gevent looks at sockets after at most 50 turns of greenlets that have something to do.
    assert median(turns) < 60


def test_stopping_lets_what_is_under_way_have_its_answer(tmp_path: Path) -> None:
    with serving(tmp_path / "log", 1) as server, closing(server.connect()) as idle:
        assert server.ask("/pid", idle)
        under_way = [Asking(server, "/signal?3000"), Asking(server, "/apart?3000")]
        wait_until(lambda: all(each.is_alive() for each in under_way), "they ask")
        threading.Event().wait(0.5)
        server.process.terminate()
        # Its next request, sent before it could know, is answered, and the connection closed.
        threading.Event().wait(0.5)
        idle.request("GET", "/pid")
        last = idle.getresponse()
        assert (last.status, last.getheader("Connection")) == (200, "close")
        for each in under_way:
            each.join(20)
        assert [each.answer for each in under_way] == ["told", "apart"]
        assert server.process.wait(20) == 0


def test_who_connects_while_a_process_stops_is_answered_and_sent_away(tmp_path: Path) -> None:
    """Who sends requests learns of a stop a moment after the process does."""
    with serving(tmp_path / "log", 2) as server:
        [frozen, *_] = server.workers()
        os.kill(frozen, signal.SIGSTOP)
        server.process.terminate()
        wait_until(server.is_stopping, "the other one knows", step_seconds=0.002)
        with server.crowd(CROWD) as crowd:
            for each in crowd:
                each.request("GET", "/pid")
            os.kill(frozen, signal.SIGCONT)
            answers = [each.getresponse() for each in crowd]
            assert {(one.status, one.getheader("Connection")) for one in answers} == {
                (200, "close")
            }
        assert server.process.wait(20) == 0


def test_a_stop_that_comes_before_a_process_serves_ends_it(tmp_path: Path) -> None:
    for pause in (0.0, 0.4):
        server = Server(tmp_path / "log", 2)
        wait_until(lambda server=server: "Booting" in server.log.read_text(), "a fork")  # type: ignore[misc]
        threading.Event().wait(pause)
        server.process.terminate()
        assert server.process.wait(10) == 0, "before gunicorn loses patience"


def test_an_idle_connection_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    with serving(tmp_path / "log", 1) as server, closing(server.connect()) as idle:
        assert server.ask("/pid", idle)
        server.process.terminate()
        # Before the 15 s that gunicorn waits for what is under way.
        assert server.process.wait(10) == 0
        assert idle.sock.recv(1000) == b"", "it asked nothing, and is told nothing"
        assert "graceful timeout" not in server.log.read_text(encoding="utf-8").lower()


def test_a_connection_is_left_for_a_moment_to_who_holds_fewer() -> None:
    held = Connections()
    place, _ = held.enter(), held.enter()
    held.note(place, +4)
    worker: Any = SimpleNamespace(connections=held, place=place, alive=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        server = ServerOf(gevent_socket.socket(fileno=listener.detach()), worker, Pool(1))
        server.init_socket()
        with socket.create_connection(address):
            tried = [server.do_read() for _ in range(11)]
        assert tried[:10] == [None] * 10
        accepted, _ = tried[10]
        accepted.close()
        server.close()


class _Taken:
    """A worker that only writes down which connections it was given."""

    def __init__(self) -> None:
        self.alive = False
        self.connections = Connections()
        self.place = self.connections.enter()
        self.served: list[Any] = []

    def serve(self, _listener: Any, client: Any, _address: Any) -> None:
        self.served.append(client)


def test_who_had_connected_before_the_door_closed_is_taken_in() -> None:
    worker: Any = _Taken()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        server = ServerOf(gevent_socket.socket(fileno=listener.detach()), worker, Pool(8))
        server.start()
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(address))
            server.finish()
            gevent.sleep(0)
            assert len(worker.served) == 5
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_a_connection_with_a_request_in_it_is_not_idle() -> None:
    asking, quiet = _connection(), _connection()
    asking[0].send(b"GET / HTTP/1.1")
    reading = [gevent.spawn(gevent.sleep, 60) for _ in range(3)]
    busy = _connection()
    worker: Any = SimpleNamespace(
        _open={reading[0]: asking[1], reading[1]: quiet[1], reading[2]: busy[1]},
        _busy={reading[2]},
    )
    gevent.sleep(0)
    Worker._end_idle(worker)
    gevent.sleep(0)
    assert [each.dead for each in reading] == [False, True, False]
    gevent.killall(reading)
    for each in (*asking, *quiet, *busy):
        each.close()


def _connection() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def test_who_holds_far_more_leaves_a_connection_to_the_others() -> None:
    held = Connections()
    one, other = held.enter(), held.enter()
    for _ in range(4):
        assert held.is_due(one)
        held.note(one, +1)
    assert not held.is_due(one)
    assert held.is_due(other)
    held.leave(other)
    assert held.is_due(one), "nobody is left to leave it to"
    assert held.enter() == other, "whose place is free again"
    assert not held.is_due(one)
    held.note(one, -1)
    assert held.is_due(one)


def test_places_are_never_shared_however_often_processes_end() -> None:
    held = Connections()
    lasting = held.enter()
    held.note(lasting, +3)
    for _ in range(200):
        held.leave(held.enter())
    taken = {held.enter() for _ in range(63)}
    assert lasting not in taken
    with pytest.raises(ValueError, match="in list"):
        held.enter()
