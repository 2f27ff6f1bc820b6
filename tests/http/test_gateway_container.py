"""The gateway's program in a container: what it makes of its environment and of certificates."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from ssl import CERT_NONE, create_default_context
from urllib.request import urlopen

import pytest

from infra.beside import Beside
from infra.gateway import Tls
from infra.gateway_container import (
    TOLD_BYTES_MAX,
    CannotStart,
    Container,
    Ports,
    Renewal,
    planned,
    resolver_of,
    shorten,
)
from infra.seaweed import free_ports
from shared.clock import SystemClock
from shared.settings import ObservationSettings
from shared.settings_of_containers import GatewaySettings
from tests.support.certificate import self_signed
from tests.support.clock import FakeClock
from tests.support.collector import Collector
from tests.support.gateway import certificate_shown
from tests.support.waiting import wait_until

CLOCK = SystemClock()
CHOSEN = GatewaySettings.from_environ({"GANSU_GATEWAY_HOST": "gansu.example"})
SILENT = ObservationSettings.from_environ({})


class Files:
    """Where an operator puts certificates, and what the gateway says of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.given = Tls(directory / "given.pem", directory / "given-key.pem")
        self.said: list[str] = []
        self.renewal = Renewal(self.given, directory / "served.pem", CLOCK, self.said.append)

    def give(self, certificate: Path, key: Path) -> bytes:
        """Put a pair where it is looked for; the certificate."""
        self.given.certificate.write_bytes(certificate.read_bytes())
        self.given.key.write_bytes(key.read_bytes())
        return certificate.read_bytes().strip()

    def new(self, *, begins: int = -2, ends: int = 1) -> tuple[Path, Path]:
        return self_signed(self.directory, begins=begins, ends=ends)

    def served(self) -> bytes:
        return self.renewal.served.read_bytes()

    def look(self, *, accepts: bool = True) -> None:
        self.renewal.renew(lambda: accepts)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_renewed_certificate_is_served(files: Files) -> None:
    first = files.give(*files.new())
    files.renewal.begin()
    assert first in files.served()
    assert files.renewal.served.stat().st_mode & 0o777 == 0o600
    second = files.give(*files.new())
    files.look()
    assert second in files.served()
    assert first not in files.served()
    files.look(accepts=False)  # nothing is new, so nothing is tried
    assert second in files.served()
    assert len([line for line in files.said if line.startswith("Serving")]) == 2


def test_what_cannot_be_served_is_told_once_and_the_one_before_is_served(files: Files) -> None:
    good = files.give(*files.new())
    files.renewal.begin()
    certificate, _ = files.new()
    files.given.certificate.write_bytes(certificate.read_bytes())
    for _ in range(3):
        files.look()
    refused = [line for line in files.said if "refused" in line]
    assert len(refused) == 1
    assert "cannot be used together" in refused[0]
    assert good in files.served()


@pytest.mark.parametrize(
    ("hours", "words"),
    [({"ends": -1}, "ended on"), ({"begins": 1, "ends": 2}, "begins on")],
)
def test_one_that_is_over_or_not_yet_good_is_refused(
    files: Files, hours: dict[str, int], words: str
) -> None:
    good = files.give(*files.new())
    files.renewal.begin()
    files.give(*files.new(**hours))
    files.look()
    assert words in files.said[-1]
    assert good in files.served()


@pytest.mark.parametrize("text", ["", "nonsense"])
def test_half_a_file_is_refused_and_the_whole_is_served(files: Files, text: str) -> None:
    good = files.give(*files.new())
    files.renewal.begin()
    new = files.new()
    files.given.certificate.write_text(text)
    files.look()
    files.given.certificate.unlink()
    files.look()
    assert good in files.served()
    whole = files.give(*new)
    files.look()
    assert whole in files.served()


def test_what_nginx_refuses_is_not_served(files: Files) -> None:
    good = files.give(*files.new())
    files.renewal.begin()
    files.give(*files.new())
    files.look(accepts=False)
    assert good in files.served()
    assert "refused by nginx" in files.said[-1]


def test_it_starts_with_what_was_served_before(files: Files) -> None:
    with pytest.raises(CannotStart, match="No such file"):
        files.renewal.begin()
    good = files.give(*files.new())
    files.renewal.begin()
    files.given.certificate.write_text("nonsense")
    again = Files(files.directory)
    again.renewal.begin()
    assert good in again.served()


# With nginx


@contextmanager
def running(files: Files, observed: ObservationSettings = SILENT) -> Iterator[int]:
    """The container's program; the port of TLS."""
    http, https = free_ports(2)
    files.give(*files.new())
    files.renewal.begin()
    directory = files.directory / "gateway"
    directory.mkdir()
    container = Container(directory, CLOCK, files.said.append, files.renewal)
    tls = Tls(files.renewal.served, files.renewal.served)
    plan = planned(CHOSEN, observed, directory, tls, Ports(http, https), "127.0.0.1:9")
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(container.run(plan)))
    thread.start()
    try:
        wait_until(lambda: certificate_shown(https) is not None, "nginx")
        yield https
    finally:
        container.stopping.set()
        thread.join()
    assert status == [0]


def test_clients_see_the_new_certificate_and_no_restart(files: Files) -> None:
    with running(files) as port:
        pid = (files.directory / "gateway" / "nginx.pid").read_text()
        new = files.give(*files.new())
        wait_until(lambda: certificate_shown(port) == new, "the new certificate")
        assert (files.directory / "gateway" / "nginx.pid").read_text() == pid
        certificate, _ = files.new()
        files.given.certificate.write_bytes(certificate.read_bytes())
        wait_until(lambda: "refused" in files.said[-1], "word of the broken one")
        assert certificate_shown(port) == new


# What is told of it


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> tuple[ObservationSettings, int]:
    """What asks for metrics, as the program beside nginx finds it too; and their port."""
    [port] = free_ports(1)
    asked = {"GANSU_METRICS_BIND": f"127.0.0.1:{port}"}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    return ObservationSettings.from_environ(asked), port


def asked_of(port: int) -> int:
    """The status of a request that no service has part in."""
    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    with closing(HTTPSConnection("127.0.0.1", port, timeout=5, context=context)) as connection:
        connection.request("GET", "/nowhere")
        return connection.getresponse().status


def told(port: int) -> float:
    """How many requests were counted; 0 while nobody tells."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    line = r'^gansu_gateway_request_duration_seconds_count\{.*service="gateway".*\} (\S+)$'
    return sum(float(found) for found in re.findall(line, text, re.MULTILINE))


def tellers() -> list[int]:
    """Processes of ours that tell of a gateway."""
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if is_teller(process)]


def is_teller(process: Path) -> bool:
    try:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        command = (process / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return False
    return parent == os.getpid() and b"infra.gateway_telemetry" in command


def test_its_requests_are_told_also_after_who_tells_them_died(
    files: Files, metrics: tuple[ObservationSettings, int]
) -> None:
    observed, port = metrics
    with running(files, observed) as https:
        wait_until(lambda: asked_of(https) == 404 and told(port) > 0, "a count")
        [first] = tellers()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: any("ended with -9" in line for line in files.said), "word of it")
        assert asked_of(https) == 404
        wait_until(lambda: asked_of(https) == 404 and told(port) > 0, "a count by another")
        assert tellers() != [first]
    assert tellers() == []


def test_its_spans_reach_a_collector(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        asked = {"GANSU_TRACES_ENDPOINT": collector.endpoint, "GANSU_TRACES_PERCENT": "100"}
        for name, value in asked.items():
            monkeypatch.setenv(name, value)
        with running(files, ObservationSettings.from_environ(asked)) as https:
            # The program begins at the end of the log, wherever that is by then.
            wait_until(lambda: asked_of(https) == 404 and bool(collector.spans), "a span")
        assert {(span.service, span.name) for span in collector.spans} == {
            ("gateway", "gateway other")
        }


def test_without_being_asked_nothing_runs_beside_it(files: Files) -> None:
    with running(files) as https:
        assert asked_of(https) == 404
        assert tellers() == []
    assert not list((files.directory / "gateway" / "logs").glob("*told*"))


def test_what_nobody_reads_does_not_grow_without_end(tmp_path: Path) -> None:
    log = tmp_path / "told.log"
    shorten(log)
    with log.open("wb") as file:
        file.truncate(TOLD_BYTES_MAX)
    shorten(log)
    assert log.stat().st_size == TOLD_BYTES_MAX
    with log.open("ab") as file:
        file.write(b"one more")
    shorten(log)
    assert log.stat().st_size == 0


@pytest.mark.parametrize(
    ("asked", "percent"),
    [
        ({}, None),
        ({"GANSU_METRICS_BIND": "0.0.0.0:9464"}, None),
        ({"GANSU_TRACES_ENDPOINT": "http://collector:4318", "GANSU_TRACES_PERCENT": "5"}, "5"),
    ],
)
def test_it_chooses_requests_to_trace_only_where_traces_go_somewhere(
    tmp_path: Path, asked: dict[str, str], percent: str | None
) -> None:
    observed = ObservationSettings.from_environ(asked)
    plan = planned(CHOSEN, observed, tmp_path, None, Ports(), "127.0.0.1")
    assert plan.traces_percent == percent
    assert (plan.telemetry is not None) == bool(asked)


def test_what_keeps_dying_is_started_more_and_more_rarely() -> None:
    clock, said = FakeClock(), list[str]()
    beside = Beside((sys.executable, "-c", "raise SystemExit(3)"), clock, said.append)
    for _ in range(8):
        beside.look()
        assert beside.pid is not None
        os.waitid(os.P_PID, beside.pid, os.WEXITED | os.WNOWAIT)
        beside.look()
        clock.pass_monotonic(float(said[-1].split()[-2]) - 1)
        count = len(said)
        beside.look()
        assert len(said) == count, "before its time"
        clock.pass_monotonic(1)
    pauses = [int(line.split()[-2]) for line in said]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert all("ended with 3" in line for line in said)


def test_what_cannot_be_started_is_told() -> None:
    said: list[str] = []
    beside = Beside(("/no/such/program",), CLOCK, said.append)
    beside.look()
    beside.stop()
    assert "does not start" in said[0]


# The environment


def test_name_servers_are_found() -> None:
    assert resolver_of("# a\nsearch b\nnameserver 127.0.0.11\nnameserver 1.1.1.1") == "127.0.0.11"
    assert resolver_of("nameserver fd00::1\n") == "[fd00::1]"
    with pytest.raises(CannotStart, match="GANSU_GATEWAY_RESOLVER"):
        resolver_of("search example\n")


def test_services_are_where_the_environment_says(tmp_path: Path) -> None:
    chosen = GatewaySettings.from_environ(
        {
            "GANSU_GATEWAY_HOST": "gansu.example",
            "GANSU_GATEWAY_SERVICES": "commerce=shop.gansu.svc:80",
        }
    )
    plan = planned(chosen, SILENT, tmp_path, None, Ports(), "127.0.0.1")
    where = {service.name: service.upstreams for service in plan.services}
    assert where["commerce"] == ("shop.gansu.svc:80",)
    assert where["health"] == ("health:8000",)
    assert (plan.listen, plan.redirect_from) == ("0.0.0.0:8080", ())
    odd = GatewaySettings.from_environ(
        {"GANSU_GATEWAY_HOST": "gansu.example", "GANSU_GATEWAY_SERVICES": "library=a:1"}
    )
    with pytest.raises(CannotStart, match="library"):
        planned(odd, SILENT, tmp_path, None, Ports(), "127.0.0.1")


def test_without_settings_it_says_what_is_missing(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "infra.gateway_container", str(tmp_path)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "GANSU_GATEWAY_HOST is missing" in told.stderr
