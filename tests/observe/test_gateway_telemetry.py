"""What is told of the gateway from its log, whatever becomes of the log."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra import gateway_telemetry
from infra.gateway import Gateway, Service, render
from infra.gateway_telemetry import Log, Teller
from infra.observed import observed
from infra.programs import Plan, telemetry
from shared.observe import measures
from shared.observe.metrics import Metrics
from shared.settings import SettingsError
from shared.tracing import Span, Tracer
from tests.observe.test_metrics import read
from tests.support.clock import FakeClock
from tests.support.gateway import before
from tests.support.upstream import Upstream

TRACE = "0123456789abcdef" * 2
NAME = "gansu_gateway_request_duration_seconds_count"


def line(**changes: object) -> bytes:
    """A line as nginx writes it."""
    said = {
        "trace_id": TRACE,
        "span_id": TRACE[16:],
        "trace_flags": "01",
        "route": "commerce",
        "method": "GET",
        "path": "/commerce/v1/orders/order_secret",
        "status": 200,
        "sent_bytes": 1234,
        "duration_seconds": 0.25,
        "ended": FakeClock().now_ms() / 1000 - 2,
        "cache": "",
        "upstream": "unix:/commerce.sock",
        "upstream_seconds": "0.200",
    }
    return json.dumps({**said, **changes}).encode()


class Told:
    """A teller, and what it told."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.metrics = Metrics("gateway", measures.GATEWAY)
        self.spans: list[Span] = []
        self.teller = Teller(self.metrics, Tracer(clock, self.spans.append), clock)
        self.now = clock.monotonic()

    def count(self, **labels: str) -> float:
        return read(self.metrics.text(), NAME, **labels)


def test_a_line_is_a_span_and_a_count() -> None:
    told = Told()
    told.teller.tell(line(cache="HIT", upstream_seconds="0.000, 0.200"))
    [span] = told.spans
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE, TRACE[16:], "")
    assert span.ended - span.began == pytest.approx(0.25)
    assert span.ended - told.now == pytest.approx(-2, abs=0.5)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/commerce/",
        "http.response.status_code": 200,
        "gansu.cache": "hit",
        "gansu.upstream.seconds": 0.2,
        "gansu.upstream.asked": 2,
    }
    assert told.count(service="gateway", route="commerce", status="2xx", cache="hit") == 1
    assert b"order_secret" not in told.metrics.text()


def test_an_answer_of_which_nothing_was_sent_is_a_failure() -> None:
    told = Told()
    told.teller.tell(line(sent_bytes=0, cache="MISS"))
    told.teller.tell(line(sent_bytes=0, status=499))
    assert (told.count(status="5xx"), told.count(status="4xx"), told.count()) == (1, 1, 2)
    assert [span.failed for span in told.spans] == [True, False]


def test_what_was_not_chosen_is_counted_alone() -> None:
    told = Told()
    told.teller.tell(line(trace_flags="00"))
    assert (told.spans, told.count()) == ([], 1)


def test_what_the_gateway_turned_away_itself_is_counted_by_it() -> None:
    told = Told()
    for status, upstream in ((429, ""), (503, ""), (429, "unix:/x"), (503, "unix:/x")):
        told.teller.tell(line(status=status, upstream=upstream, upstream_seconds="-"))
    text = told.metrics.text()
    assert read(text, "gansu_shed_total") == 2
    assert read(text, "gansu_shed_total", reason="too-many-requests") == 1
    assert [span.failed for span in told.spans] == [False, True, False, True]


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"{}", b"\xff\xfe", b"null"),
        line(status="x"),
        line(span_id="no hex"),
        line(ended="soon"),
        line(upstream_seconds="soon"),
    ],
)
def test_what_is_no_line_of_the_gateways_is_passed_over(raw: bytes) -> None:
    told = Told()
    told.teller.tell(raw)
    assert told.spans == []


# The log


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Log]:
    """An empty log, from its beginning on."""
    (tmp_path / "log").touch()
    with closing(Log(tmp_path / "log")) as log:
        log.step()
        yield log


def test_only_what_is_written_from_now_on_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    with closing(Log(path)) as log, path.open("ab") as file:
        assert log.step() == []
        file.write(b"one\ntw")
        file.flush()
        assert log.step() == [b"one"]
        file.write(b"o\n")
        file.flush()
        assert log.step() == [b"two"]
        assert log.step() == []


def test_a_log_that_comes_later_is_told_from_its_beginning_on(
    tmp_path: Path, followed: Log
) -> None:
    path = tmp_path / "log"
    path.rename(tmp_path / "log.1")
    assert followed.step() == []
    path.write_bytes(b"one\ntwo\n")
    assert followed.step() == [b"one", b"two"]


def test_a_log_that_was_emptied_is_told_from_its_beginning_on(
    tmp_path: Path, followed: Log
) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file:
        file.write(b"a long line\nand a beginning")
        file.flush()
        assert followed.step() == [b"a long line"]
        os.truncate(path, 0)
        file.write(b"new\n")
    assert followed.step() == [b"new"]


def test_who_is_too_far_behind_goes_on_near_the_end(
    tmp_path: Path, followed: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_telemetry, "BEHIND_BYTES_MAX", 1000)
    monkeypatch.setattr(gateway_telemetry, "STEP_BYTES", 100)
    (tmp_path / "log").write_bytes(b"".join(b"%09d\n" % number for number in range(1000)))
    assert followed.step()[-1] == b"%09d" % 999


def test_an_endless_line_fills_no_memory(
    tmp_path: Path, followed: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_telemetry, "LINE_BYTES_MAX", 10)
    (tmp_path / "log").write_bytes(b"x" * 100)
    assert followed.step() == []
    assert followed._rest == b""


def test_a_log_of_its_own_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_telemetry, "EMPTIED_BYTES", 10)
    path = tmp_path / "log"
    path.touch()
    with closing(Log(path, is_own=True)) as log, path.open("ab") as file:
        log.step()
        file.write(b"more than ten\n")
        file.flush()
        assert log.step() == [b"more than ten"]
        assert log.step() == []
        assert path.stat().st_size == 0
        file.write(b"next\n")
        file.flush()
        assert log.step() == [b"next"]


# What nginx is told


def _gateway(tmp_path: Path, **choices: Any) -> str:
    services = (Service("commerce", ("127.0.0.1:1",)),)
    return render(Gateway(tmp_path, tmp_path, services, **choices))


def test_without_traces_services_hear_nothing_of_them(tmp_path: Path) -> None:
    assert "traceparent" not in _gateway(tmp_path)
    assert "split_clients" not in _gateway(tmp_path)


def test_so_many_percent_are_chosen(tmp_path: Path) -> None:
    text = _gateway(tmp_path, traces_percent="0.25")
    assert re.search(r"split_clients \$request_id \$trace_flags \{\s+0\.25% 01;\s+\* 00;", text)


@pytest.mark.parametrize(("percent", "flags"), [("0", "00"), ("100", "01")])
def test_the_gateway_tells_services_what_it_chose(tmp_path: Path, percent: str, flags: str) -> None:
    forged = {"traceparent": f"00-{'f' * 32}-{'f' * 16}-01", "tracestate": "x=y"}
    choices = {"traces_percent": percent, "telemetry": tmp_path / "telemetry.log"}
    with Upstream() as upstream, before(tmp_path, upstream, **choices) as gateway:
        gateway.request("GET", "/commerce/v1/orders", forged)
        [logged] = gateway.log()
    sent = upstream.arrived[0].headers
    request_id = sent["x-request-id"]
    assert sent["traceparent"] == f"00-{request_id}-{request_id[16:]}-{flags}"
    assert "tracestate" not in sent
    assert (logged["trace_id"], logged["span_id"]) == (request_id, request_id[16:])
    assert (logged["trace_flags"], logged["route"]) == (flags, "commerce")
    assert json.loads((tmp_path / "telemetry.log").read_text()) == logged


# What `make run` makes of it


def test_every_program_has_a_port_of_its_own() -> None:
    asked = observed({"GANSU_METRICS_BIND": "127.0.0.1:9464"})
    names = ["gateway", "identity", "commerce", "commerce"]
    binds = [asked.environment(name)["GANSU_METRICS_BIND"] for name in names]
    assert binds == [f"127.0.0.1:{port}" for port in (9464, 9465, 9466, 9466)]
    assert "127.0.0.1:9466 commerce" in asked.welcome()
    assert asked.traces_percent is None


def test_nobody_tells_of_a_gateway_that_nobody_asks_about() -> None:
    asked = observed({})
    assert asked.environment("commerce") == {"GANSU_METRICS_BIND": "", "GANSU_TRACES_ENDPOINT": ""}
    assert asked.welcome() == ""
    assert telemetry(Plan(None, None, 1, observed=asked)) is None  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="GANSU_METRICS_BIND is empty or host:port"):
        observed({"GANSU_METRICS_BIND": "9464"})


@pytest.mark.parametrize("percent", ["101", "-1", "1.234", "all"])
def test_a_percentage_is_one(percent: str) -> None:
    with pytest.raises(SettingsError, match="GANSU_TRACES_PERCENT"):
        observed({"GANSU_TRACES_PERCENT": percent})
