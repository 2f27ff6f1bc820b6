"""Real nginx, gunicorn and SeaweedFS, observed: a request's trace, sums, and no secrets."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.observed import Observed
from infra.seaweed import free_ports
from services.commerce.schemas.common import LILY
from tests.support.collector import Collected, Collector
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until

ORDERS = "/commerce/v1/orders"
QUERY = "secret-lily-soup"
CITIZEN_KEY = "an-idempotency-key-of-citizen"


@dataclass(slots=True)
class Observing:
    """A fleet of one container, and all that it tells."""

    fleet: Fleet
    collector: Collector
    observed: Observed
    product: str = ""

    def ask(
        self, method: str, path: str, body: object = None, account: str = "citizen-1", key: str = ""
    ) -> tuple[int, Any, str]:
        """Through the gateway: status, JSON and the request's id."""
        headers = {
            "Authorization": f"Bearer {self.fleet.token(account)}",
            "Content-Type": "application/json",
            # A client's own are not believed.
            "traceparent": f"00-{'c' * 32}-{'d' * 16}-01",
            "X-Request-Id": "e" * 32,
        }
        if method == "POST":
            headers["Idempotency-Key"] = key or f"key-{os.urandom(8).hex()}"
        with closing(self.fleet.doors[0].connection()) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers["X-Request-Id"]

    def order(self, account: str = "citizen-1", key: str = "") -> str:
        """Place an order; its request's id."""
        lines = [{"product_id": self.product, "quantity": 1}]
        status, said, request_id = self.ask("POST", ORDERS, {"lines": lines}, account, key)
        assert status == 201, said
        return request_id

    def stock(self) -> str:
        """A product that anybody can order; its id."""
        store = {"name_zh": "百合社", "name_en": "Lily Co-op", "division": "620103"}
        _, made, _ = self.ask("POST", "/commerce/v1/stores", store, "merchant-1")
        path = f"/commerce/v1/stores/{made['id']}/products"
        _, made, _ = self.ask("POST", path, LILY, "merchant-1")
        path = f"/commerce/v1/products/{made['id']}/stock/adjustments"
        assert self.ask("POST", path, {"delta": 1000}, "merchant-1")[0] == 201
        return str(made["id"])

    def metrics(self, program: str = "commerce") -> str:
        with urlopen(f"http://127.0.0.1:{self.observed.ports[program]}/metrics") as answer:
            text: str = answer.read().decode()
        return text

    def value(self, name: str, program: str = "commerce", **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.metrics(program))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def orders_counted(self) -> float:
        return self.value(
            "http_server_request_duration_seconds_count",
            method="POST",
            route=ORDERS,
            status="201",
        )


@pytest.fixture(scope="module")
def observing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observing]:
    first = free_ports(1)[0]
    with Collector() as collector:
        observed = Observed(f"127.0.0.1:{first}", collector.endpoint, "100")
        # Ports of one's own for each: the next ones might be taken here.
        observed.ports.update(zip(("gateway", "commerce"), free_ports(2), strict=True))
        with Fleet(tmp_path_factory.mktemp("fleet"), observed=observed) as fleet:
            found = Observing(fleet, collector, observed)
            found.product = found.stock()
            yield found


def _named(spans: list[Collected], name: str) -> Collected:
    [found] = [span for span in spans if span.name == name]
    return found


def test_one_order_is_one_trace_through_gateway_service_and_store(observing: Observing) -> None:
    request_id = observing.order()
    wanted = {"gateway commerce", f"POST {ORDERS}", "commit", "commit.queue", "commit.attempt"}
    wanted.add("store.create")
    observing.collector.await_spans(
        lambda _: wanted <= {span.name for span in observing.collector.trace(request_id)}
    )
    spans = observing.collector.trace(request_id)
    gateway, service = _named(spans, "gateway commerce"), _named(spans, f"POST {ORDERS}")
    commit, attempt = _named(spans, "commit"), _named(spans, "commit.attempt")
    assert gateway.service == "gateway"
    assert service.service == commit.service == "commerce"
    assert gateway.parent == ""
    assert service.parent == gateway.id
    assert commit.parent == service.id
    assert attempt.parent == commit.id == _named(spans, "commit.queue").parent
    put = _named(spans, "store.create")
    assert put.parent == attempt.id
    assert re.fullmatch(r"commerce/journal/\d{20}\.json", put.attributes["gansu.store.key"])
    assert put.attributes["gansu.store.outcome"] == "ok"
    assert put.attributes["gansu.store.sent_bytes"] > 100
    assert attempt.attributes["gansu.outcome"] == "applied"
    assert service.attributes == {
        "http.request.method": "POST",
        "http.route": ORDERS,
        "http.response.status_code": 201,
    }
    assert gateway.attributes["http.response.status_code"] == 201
    assert gateway.attributes["gansu.upstream.seconds"] > 0
    for inner, outer in ((put, attempt), (attempt, commit), (commit, service)):
        assert outer.began <= inner.began <= inner.ended <= outer.ended
    # Of two programs, with what nginx rounds to milliseconds.
    assert abs(gateway.ended - service.ended) < 10**9


def test_a_client_cannot_have_its_own_trace(observing: Observing) -> None:
    request_id = observing.order()
    observing.collector.await_spans(lambda _: observing.collector.trace(request_id))
    assert request_id != "e" * 32
    assert observing.collector.trace("c" * 32) == []
    assert observing.collector.trace("e" * 32) == []


def test_every_request_leads_to_the_put_that_it_shares_with_others(observing: Observing) -> None:
    placed: list[str] = []

    def place(number: int) -> None:
        placed.append(observing.order(f"citizen-{number}"))

    threads = [threading.Thread(target=place, args=(number,)) for number in range(8)]
    # While the first waits for its entry the others gather, and share the next one.
    with observing.fleet.store.frozen():
        for thread in threads:
            thread.start()
        threading.Event().wait(0.7)
    for thread in threads:
        thread.join(30)
    assert len(placed) == 8

    def commits(spans: list[Collected]) -> list[Collected]:
        return [span for span in spans if span.trace in placed and span.name == "commit"]

    spans = observing.collector.await_spans(lambda spans: len(commits(spans)) == 8)
    by_id = {(span.trace, span.id): span for span in spans}
    attempts = [span for span in spans if span.name == "commit.attempt"]
    puts = {span.parent for span in spans if span.name == "store.create" and not span.failed}
    shared = 0
    for commit in commits(spans):
        own = [each for each in attempts if each.parent == commit.id]
        linked = [by_id[link] for link in commit.links]
        shared += bool(linked)
        for attempt in linked:
            assert attempt.name == "commit.attempt"
            assert (commit.trace, commit.id) in attempt.links
        assert any(each.id in puts for each in own + linked), "it leads to its PUT"
    assert shared > 0
    assert max(each.attributes["gansu.changes"] for each in attempts) > 1


def test_sums_are_right_over_processes_also_after_one_died(observing: Observing) -> None:
    [container] = observing.fleet.containers
    before = observing.orders_counted()
    # Enough connections at once for both processes to have some.
    products = 'method="GET",route="/commerce/v1/products",service="commerce",status="200"'
    asked = 0

    def ask_all() -> int:
        crowd = [container.door.connection() for _ in range(12)]
        for connection in crowd:
            connection.request("GET", "/commerce/v1/products")
        for connection in crowd:
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            connection.close()
        return len(crowd)

    def counted() -> float:
        [line] = re.findall(
            rf"^http_server_request_duration_seconds_count{{{products}}} (.+)$",
            observing.metrics(),
            re.MULTILINE,
        )
        return float(line)

    files = container.replicas / "metrics"

    def counting() -> set[int]:
        found = [re.fullmatch(r"histogram_(\d+)\.db", path.name) for path in files.iterdir()]
        return {int(each[1]) for each in found if each is not None}

    def has_counted(pid: int) -> bool:
        return b'"/commerce/v1/products"' in (files / f"histogram_{pid}.db").read_bytes()

    def have_both_counted() -> bool:
        nonlocal asked
        asked += ask_all()
        assert counted() == asked
        return len(counting()) == 2 and all(map(has_counted, counting()))

    wait_until(have_both_counted, "both processes count")
    for number in range(5):
        observing.order(f"citizen-{number}")
    assert observing.orders_counted() == before + 5
    dead, other = counting()
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: len(counting() - {dead, other}) == 1, "a new process")
    wait_until(lambda: not list(files.glob(f"*_{dead}.db")), "its files are added up")
    assert counted() == asked
    assert observing.orders_counted() == before + 5
    asked += ask_all()
    wait_until(container.door.is_ready, "the container")
    assert counted() == asked
    observing.order()
    assert observing.orders_counted() == before + 6


def test_the_engine_is_measured(observing: Observing) -> None:
    observing.order()
    here = {"database": "commerce", "service": "commerce"}
    applied = observing.value("gansu_commits_total", outcome="applied", **here)
    assert applied > 0
    assert observing.value("gansu_commit_batch_size_count", **here) == applied
    assert observing.value("gansu_commit_batch_size_sum", **here) >= applied
    assert observing.value("gansu_commit_queue_wait_seconds_count", **here) >= applied
    stored = {"operation": "create", "outcome": "ok"}
    assert observing.value("gansu_store_request_duration_seconds_count", **stored) >= applied

    def looked() -> bool:
        entry = observing.value("gansu_replica_applied_entry", **here)
        checked = observing.value("gansu_conservation_checked_timestamp_seconds", **here)
        return entry > applied and checked > 0

    wait_until(looked, "the container looks after itself")
    assert observing.value("gansu_ready") == 1
    assert observing.value("gansu_conservation_violations", **here) == 0
    assert observing.value("gansu_unapplicable_entries", **here) == 0
    assert observing.value("gansu_replica_age_seconds", **here) < 60
    assert abs(observing.value("gansu_clock_offset_seconds")) < 5
    wait_until(lambda: observing.value("gansu_commit_queue_depth", **here) == 0, "nobody waits")


def test_the_gateway_is_measured(observing: Observing) -> None:
    name = "gansu_gateway_request_duration_seconds_count"
    labels = {"service": "gateway", "route": "commerce", "status": "2xx"}
    before = observing.value(name, "gateway", **labels)
    for _ in range(3):
        observing.order()
    # What was asked before may be read from the log as late as this.
    wait_until(
        lambda: observing.value(name, "gateway", **labels) >= before + 3, "the gateway's log"
    )


def test_metrics_are_no_part_of_what_the_gateway_serves(observing: Observing) -> None:
    for path in ("/metrics", "/commerce/metrics"):
        assert observing.ask("GET", path)[0] == 404


def test_nothing_of_a_person_is_told(observing: Observing) -> None:
    account = "citizen-7"
    request_id = observing.order(account, key=CITIZEN_KEY)
    status, said, _ = observing.ask("GET", f"{ORDERS}?limit=5", account=account)
    assert status == 200
    order_id = said["items"][0]["id"]
    assert observing.ask("GET", f"{ORDERS}/{order_id}", account=account)[0] == 200
    observing.ask("GET", f"/commerce/v1/products?q={QUERY}", account=account)
    status, _, refused = observing.ask("GET", f"/commerce/v1/nothing-{QUERY}", account=account)
    assert status == 404
    observing.collector.await_spans(
        lambda _: observing.collector.trace(request_id) and observing.collector.trace(refused)
    )
    told = b"".join(observing.collector.raw).decode("latin-1")
    told += observing.metrics() + observing.metrics("gateway")
    logs = "".join(path.read_text() for path in observing.fleet.layout.logs.glob("*.log"))
    token = observing.fleet.token(account)
    subject = observing.fleet.subject(account)
    secrets = (token, token.rpartition(".")[2], CITIZEN_KEY, f"q={QUERY}", subject, account)
    for secret in secrets:
        assert secret not in told
        assert secret not in logs
    # Ids stand in the gateway's log alone, within the path.
    for identifier in (order_id, QUERY):
        assert identifier not in told
    assert request_id in logs


def test_log_lines_of_gateway_and_service_are_joined_by_the_trace(observing: Observing) -> None:
    request_id = observing.order()
    logs = observing.fleet.layout.logs

    def lines(path: Path) -> list[dict[str, Any]]:
        rows = [row for row in path.read_text().splitlines() if row.startswith("{")]
        found = [json.loads(row) for row in rows]
        return [line for line in found if line.get("trace_id") == request_id]

    wait_until(lambda: bool(lines(logs / "gateway-access.log")), "the gateway's log")
    [gateway] = lines(logs / "gateway-access.log")
    [service] = lines(logs / "commerce.log")
    assert gateway["status"] == service["status"] == 201
    assert service["route"] == f"POST {ORDERS}"
