"""What is counted, from one process and from several; what a collector that is away costs."""

import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from infra.seaweed import free_ports
from services.identity.routes.failures import SIGN_IN_FAILURES
from shared import tracing
from shared.clock import SystemClock
from shared.condition import Finding
from shared.observe import exposition, measures, traces
from shared.observe.measures import Measure
from shared.observe.metrics import EdgeMeter, EngineMeter, Metrics
from shared.observe.store import ObservedStore
from shared.observe.traces import BATCH_MAX, WAITING_MAX, SpanExport
from shared.observe.watch import LOOK_SECONDS, Watch
from shared.storage.memory import MemoryStore
from shared.storage.objects import Absent, Denied, Exists, StoreError, Uncertain
from shared.tracing import Span, Tracer
from shared.web.log import EngineLines, RequestLog
from tests.support.bureau import Bureau
from tests.support.clock import FakeClock
from tests.support.collector import Collector
from tests.support.served import Said
from tests.support.shop import Shop

ROOT = Path(__file__).parents[2]
EVERY = {each.name: each for each in (*measures.SERVICES, *measures.GATEWAY, *measures.NOTIFIERS)}


def read(text: bytes, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


# The page


def test_the_page_says_what_is_measured() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", page, re.MULTILINE)
    assert {name: (kind, labels, meaning) for name, kind, labels, meaning in rows} == {
        each.name: (each.kind, ", ".join(f"`{label}`" for label in each.labels), each.meaning)
        for each in EVERY.values()
    }


@pytest.mark.parametrize("measure", EVERY.values(), ids=EVERY)
def test_a_measure_is_named_as_prometheus_would_have_it(measure: Measure) -> None:
    assert measure.name.endswith("_total") == (measure.kind == "counter")
    assert bool(measure.buckets) == (measure.kind == "histogram")
    assert bool(measure.together) == (measure.kind == "gauge")
    assert list(measure.buckets) == sorted(measure.buckets)


# The edge


def test_whatever_is_asked_for_labels_stay_few() -> None:
    metrics = Metrics("commerce", measures.SERVICES)
    meter = EdgeMeter(metrics, {})
    for number in range(1000):
        meter.answered(f"METHOD{number}", "-", 404, 0.001, "not-found")
    meter.answered("GET", "GET /commerce/v1/orders/{order_id}", 200, 0.004, "")
    text = metrics.text()
    name = "http_server_request_duration_seconds_count"
    assert text.decode().count(f"{name}{{") == 2
    assert read(text, name, method="_OTHER", route="-") == 1000
    assert read(text, name, method="GET", route="/commerce/v1/orders/{order_id}") == 1


def test_what_is_turned_away_is_counted_by_its_reason(tmp_path: Path) -> None:
    metrics = Metrics("commerce", measures.SERVICES)
    away = Said(Finding("store", "failing", "the store is away", "bring it back"))
    with Shop(tmp_path, part=away, orders_max=1) as shop:
        object.__setattr__(shop.edge, "heard", EdgeMeter(metrics, {}))
        product = shop.lily()
        shop.order(product)
        line = {"lines": [{"product_id": product, "quantity": 1}]}
        assert shop.post("/v1/orders", line, by="citizen-1").status_code == 429
        assert shop.get("/health/ready").status_code == 503
    text = metrics.text()
    assert read(text, "gansu_shed_total", reason="too-many-orders") == 1
    assert read(text, "gansu_shed_total") == 1, "a probe is told, and not turned away"


ALERTS = (Path(__file__).parents[2] / "infra/observability/alerts.yml").read_text()


def test_failed_sign_ins_are_counted_by_their_kind(tmp_path: Path) -> None:
    metrics = Metrics("identity", measures.SERVICES)
    with Bureau(tmp_path) as bureau:
        object.__setattr__(bureau.app.edge, "heard", EdgeMeter(metrics, SIGN_IN_FAILURES))
        assert {route for route, _ in SIGN_IN_FAILURES} <= set(bureau.app.handlers)
        assert read(metrics.text(), "gansu_sign_in_failures_total") == 0
        page = bureau.ask_code("13800000001")
        wrong = bureau.give_code(page, "000000")
        assert wrong.status_code == 403
        bureau.sign_in("13800000002")
        assert bureau.redeem("no-such-code").status_code == 400
    text = metrics.text()
    assert read(text, "gansu_sign_in_failures_total", kind="code") == 1
    assert read(text, "gansu_sign_in_failures_total", kind="token") == 1
    assert read(text, "gansu_sign_in_failures_total") == 2


def test_who_asks_for_a_code_and_who_comes_in_are_what_the_alert_asks_for(tmp_path: Path) -> None:
    metrics = Metrics("identity", measures.SERVICES)
    with Bureau(tmp_path) as bureau:
        object.__setattr__(bureau.app.edge, "heard", EdgeMeter(metrics, {}))
        bureau.ask_code("13800000001")
        bureau.sign_in("13800000002")
    [alert] = re.findall(r"- alert: GansuNobodySignsIn\n(.*?)for:", ALERTS, re.DOTALL)
    asked, came_in = (
        read(metrics.text(), name, **dict(re.findall(r'(\w+)="([^"]*)"', labels)))
        for name, labels in re.findall(r"increase\((\w+)\{(.*?)\}", alert)
    )
    assert (asked, came_in) == (2, 1)


# The store


class _Requests:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, bool]] = []

    def answered(self, operation: str, outcome: str, seconds: float, *, is_error: bool) -> None:
        assert seconds >= 0
        self.told.append((operation, outcome, is_error))


def test_every_request_to_the_store_is_counted_with_what_came_of_it() -> None:
    store, meter = MemoryStore(), _Requests()
    observed = ObservedStore(store, SystemClock(), meter)
    observed.create("a/journal/1", b"one")
    with pytest.raises(Exists):
        observed.create("a/journal/1", b"two")
    assert observed.get("a/journal/1") == b"one"
    assert observed.get_range("a/journal/1", 1, 2) == b"ne"
    with pytest.raises(Absent):
        observed.get("a/journal/2")
    assert [row.key for row in observed.list("a/")] == ["a/journal/1"]
    observed.delete("a/journal/1")
    assert observed.versioning() == "never"
    assert meter.told == [
        ("create", "ok", False),
        ("create", "exists", False),
        ("get", "ok", False),
        ("get", "ok", False),
        ("get", "absent", False),
        ("list", "ok", False),
        ("delete", "ok", False),
        ("versioning", "ok", False),
    ]


@pytest.mark.parametrize("error", [Uncertain, Denied])
def test_what_the_store_does_not_serve_is_an_error(error: type[StoreError]) -> None:
    store, meter = MemoryStore(), _Requests()

    def fail(_: str) -> bytes:
        raise error("away")

    store.get = fail  # type: ignore[assignment, method-assign]
    with pytest.raises(error):
        ObservedStore(store, SystemClock(), meter).get("key")
    assert meter.told == [("get", error.__name__.lower(), True)]


# Several processes


def _write(directory: Path, kind: str, pid: int, name: str, value: float) -> None:
    files: Any = MmapedDict
    file = files(str(directory / f"{kind}_{pid}.db"))
    family = name.removesuffix("_count")
    file.write_value(mmap_key(family, name, ["service"], ["commerce"], "Help."), value, 0.0)
    file.close()


def test_what_processes_counted_stays_when_they_have_ended(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    directory.mkdir()
    (directory / "counter_1.db").write_bytes(b"of an earlier container")
    exposition.prepare(directory)
    for pid in range(100, 120):
        _write(directory, "counter", pid, "some_total", 3)
        _write(directory, "histogram", pid, "took_seconds_count", 2)
        _write(directory, "gauge_livesum", pid, "depth", 1)
    told = exposition.text(directory)
    assert read(told, "some_total") == 60
    assert read(told, "depth") == 20
    for pid in range(100, 119):
        exposition.ended(directory, pid)
    told = exposition.text(directory)
    assert read(told, "some_total") == 60
    assert read(told, "took_seconds_count") == 40
    assert read(told, "depth") == 1, "who has ended is no longer anything"
    files = {path.name for path in directory.glob("*.db")}
    ended = {"counter_ended.db", "histogram_ended.db"}
    assert files == ended | {f"{kind}_119.db" for kind in ("counter", "histogram", "gauge_livesum")}


def test_a_process_that_never_counted_may_end(tmp_path: Path) -> None:
    exposition.prepare(tmp_path / "metrics")
    exposition.ended(tmp_path / "metrics", 4711)
    assert exposition.text(tmp_path / "metrics") == b""


@pytest.fixture
def served() -> Iterator[HTTPServer]:
    """`/metrics` on a port of its own."""
    port, stopping = free_ports(1)[0], threading.Event()
    server = exposition.listening(f"127.0.0.1:{port}", lambda: b"some 1\n")
    server.timeout = 0.05

    def loop() -> None:
        while not stopping.is_set():
            server.handle_request()

    thread = threading.Thread(target=loop)
    thread.start()
    yield server
    stopping.set()
    thread.join()
    server.server_close()


def test_metrics_are_at_one_address(served: HTTPServer) -> None:
    with urlopen(f"http://127.0.0.1:{served.server_port}/metrics") as answer:
        assert answer.read() == b"some 1\n"
        assert answer.headers["Content-Type"].startswith("text/plain")
    with pytest.raises(HTTPError, match="404") as refused:
        urlopen(f"http://127.0.0.1:{served.server_port}/")
    refused.value.close()


def test_what_cannot_be_read_is_said_to_reader_and_log(
    served: HTTPServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def damaged() -> bytes:
        raise ValueError("damaged")

    monkeypatch.setattr(served, "read", damaged)
    with pytest.raises(HTTPError, match="500") as refused:
        urlopen(f"http://127.0.0.1:{served.server_port}/metrics")
    refused.value.close()
    assert "what is counted cannot be read: ValueError('damaged')" in caplog.text


# Spans on their way


def _spans(export: SpanExport, count: int) -> None:
    tracer = Tracer(SystemClock(), export.take)
    for number in range(count):
        Span(tracer, f"span {number}", "internal", "a" * 32, "", tracer.now()).end()


def test_spans_arrive_with_their_times() -> None:
    clock = SystemClock()
    with Collector() as collector:
        export = SpanExport(collector.endpoint, {"service.name": "commerce"}, clock)
        before = clock.now_ms()
        _spans(export, BATCH_MAX + 1)
        export.close(10)
        after = clock.now_ms()
    assert [span.name for span in collector.spans] == [f"span {n}" for n in range(BATCH_MAX + 1)]
    assert len(collector.raw) == 2
    for span in collector.spans:
        assert (before - 5) * 10**6 <= span.began <= span.ended <= (after + 5) * 10**6
        assert (span.service, span.parent) == ("commerce", "")


@pytest.mark.parametrize("status", [0, 400])
def test_a_collector_that_takes_nothing_costs_the_spans_alone(
    status: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "EXPORT_SECONDS", 1.0)
    lost: list[int] = []
    with Collector() as collector:
        collector.status = status
        endpoint = collector.endpoint if status else f"http://127.0.0.1:{free_ports(1)[0]}"
        export = SpanExport(endpoint, {"service.name": "x"}, SystemClock(), lost.append)
        _spans(export, WAITING_MAX + 100)
        export.close(30)
        _spans(export, 1)
    assert sum(lost) >= WAITING_MAX + 100
    assert collector.spans == []
    said = [record.message for record in caplog.records if "collector" in record.message]
    assert said == ["the collector of traces does not take spans; they are lost"]


def test_without_room_spans_are_lost_at_once() -> None:
    lost: list[int] = []
    export = SpanExport("http://127.0.0.1:1", {}, SystemClock(), lost.append)
    export._wake.set()  # nobody begins to hand over
    _spans(export, WAITING_MAX + 7)
    assert lost == [1] * 7
    assert len(export._waiting) == WAITING_MAX


# Looking


class _Watched:
    """A database as it stands; `shared.storage.watched.Watched`."""

    def __init__(self) -> None:
        self.waiting = 3
        self.violations: int | None = 0
        self.blocked = False
        self.level_at: float | None = None

    def standing(self) -> object:
        from shared.storage.watched import Standing  # noqa: PLC0415

        return Standing(applied=7, known=9, level_at=self.level_at, is_blocked=self.blocked)

    def unbalanced(self, _: float) -> int | None:
        return self.violations


def test_the_elected_process_looks_after_the_container(tmp_path: Path) -> None:
    clock, watched, troubles = FakeClock(), _Watched(), ["behind"]
    metrics = Metrics("commerce", measures.SERVICES)

    def watch(own: Metrics) -> Watch:
        return Watch(
            own,
            "commerce",
            lambda: watched,  # type: ignore[arg-type, return-value]
            lambda: not troubles,
            lambda: -2500,
            tmp_path / "watch.lock",
            clock,
        )

    elected, other_metrics = watch(metrics), Metrics("commerce", measures.SERVICES)
    other = watch(other_metrics)
    elected.tick()
    other.tick()
    told = metrics.text()
    assert read(told, "gansu_ready") == 0
    assert read(told, "gansu_replica_applied_entry", database="commerce") == 7
    assert read(told, "gansu_replica_lag_entries") == 2
    assert read(told, "gansu_clock_offset_seconds") == -2.5
    assert read(told, "gansu_commit_queue_depth") == 3
    checked = "gansu_conservation_checked_timestamp_seconds"
    assert read(told, checked) == clock.now_ms() / 1000
    assert b"gansu_replica_applied_entry{" not in other_metrics.text(), "one says it for all"
    assert read(other_metrics.text(), "gansu_commit_queue_depth") == 3

    troubles.clear()
    watched.violations, watched.blocked = 2, True
    elected.tick()
    assert read(metrics.text(), "gansu_ready") == 0, "it does not look all the time"
    clock.pass_monotonic(LOOK_SECONDS)
    elected.tick()
    assert read(metrics.text(), "gansu_ready") == 1
    assert read(metrics.text(), "gansu_unapplicable_entries") == 1
    assert read(metrics.text(), "gansu_replica_age_seconds") >= LOOK_SECONDS
    assert read(metrics.text(), "gansu_conservation_violations") == 0
    clock.pass_monotonic(60)
    clock.pass_wall(seconds=60)
    watched.level_at = clock.monotonic()
    elected.tick()
    assert read(metrics.text(), "gansu_conservation_violations") == 2
    assert read(metrics.text(), "gansu_replica_age_seconds") < 5
    watched.violations = None  # it took too long
    clock.pass_monotonic(60)
    clock.pass_wall(seconds=60)
    before = read(metrics.text(), checked)
    elected.tick()
    assert read(metrics.text(), checked) == before


def test_counts_begin_at_zero() -> None:
    metrics = Metrics("commerce", measures.SERVICES)
    EngineMeter(metrics, "commerce")
    text = metrics.text().decode()
    for outcome in ("applied", "lost_race", "undecided", "refused"):
        assert f'outcome="{outcome}",service="commerce"}} 0.0' in text


# Lines of the log


def test_the_engines_lines_are_joined_to_their_request() -> None:
    lines: list[bytes] = []
    handler = EngineLines(RequestLog("commerce", FakeClock(), lines.append))
    log = logging.getLogger("tests.observe.lines")
    log.addHandler(handler)
    log.propagate = False
    try:
        with tracing.within("a" * 32):
            log.warning("commit refused: %s", "why")
        log.warning("a round", extra={"trace_ids": ["b" * 32]})
        log.info("nobody wants to know")
        try:
            int("13811112222x")
        except ValueError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)
    told = [orjson.loads(line) for line in lines]
    assert [line.get("trace_id") for line in told] == ["a" * 32, None, None]
    assert told[0]["message"] == "commit refused: why"
    assert (told[0]["level"], told[0]["service"]) == ("warning", "commerce")
    assert told[1]["trace_ids"] == ["b" * 32]
    assert told[2]["failure"] == "ValueError"
    assert b"1381111" not in b"".join(lines)


def test_nothing_is_loaded_where_nothing_is_observed() -> None:
    """Libraries take a while to load, and memory; a service that is not asked has neither."""
    program = (
        "import sys; import shared.assembly;"
        "print([name for name in sys.modules if name.startswith(('prometheus', 'opentelemetry'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
