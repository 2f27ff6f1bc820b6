"""What a notifier tells of itself."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from infra.seaweed import free_ports
from shared.notices.outbox import ATTEMPTS_MAX
from shared.notices.telemetry import SILENT
from shared.observe import measures, notifiers
from shared.observe.metrics import Metrics
from shared.observe.notifiers import NoticesMeter
from shared.settings import SettingsError
from tests.notices.world import Phones, Street, away, refuses
from tests.observe.test_metrics import read
from tests.support.waiting import wait_until

NAME = "commerce-notices"
COUNTED = "gansu_notices_total"


@contextmanager
def street_of(tmp_path: Path) -> Iterator[Street]:
    street = Street(tmp_path)
    yield street
    street.close()


def test_what_became_of_messages_is_counted(tmp_path: Path) -> None:
    metrics, phones = Metrics(NAME, measures.NOTIFIERS), Phones()
    with street_of(tmp_path) as street:
        database, meter = street.outbox(), NoticesMeter(metrics, street.clock)
        consumer = street.consumer(phones, database, telemetry=meter)
        assert read(metrics.text(), COUNTED) == 0
        phones.troubles.extend([refuses, away])
        street.place(3)
        street.drain(consumer, database)
        text = metrics.text()
        counted = {
            outcome: read(text, COUNTED, service=NAME, outcome=outcome)
            for outcome in ("sent", "later", "refused", "given_up")
        }
        assert counted == {"sent": 2, "later": 1, "refused": 1, "given_up": 0}
        street.place(1)
        phones.troubles.extend([away] * ATTEMPTS_MAX)
        for _ in range(2 * ATTEMPTS_MAX):
            consumer.step()
            street.pass_time(15 * 60)
        assert read(metrics.text(), COUNTED, outcome="given_up") == 1


def test_it_is_served_until_the_notifier_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    [port] = free_ports(1)
    monkeypatch.setenv("GANSU_METRICS_BIND", f"127.0.0.1:{port}")
    stopping = threading.Event()
    telemetry = notifiers.observing(NAME, stopping)
    telemetry.message("sent")

    def text() -> bytes:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            found: bytes = answer.read()
        return found

    assert read(text(), COUNTED, service=NAME, outcome="sent") == 1
    began = read(text(), "gansu_notices_level_timestamp_seconds", service=NAME)
    telemetry.level()
    assert read(text(), "gansu_notices_level_timestamp_seconds") >= began > 1_600_000_000

    def is_gone() -> bool:
        try:
            return not text()
        except URLError:
            return True

    stopping.set()
    wait_until(is_gone, "it listens no more")


def test_messages_go_out_where_nobody_asks_or_the_port_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    stopping = threading.Event()
    monkeypatch.setenv("GANSU_METRICS_BIND", "")
    assert notifiers.observing(NAME, stopping) is SILENT
    monkeypatch.setenv("GANSU_METRICS_BIND", "192.0.2.1:9464")
    notifiers.observing(NAME, stopping).message("sent")
    assert "metrics are not served at 192.0.2.1:9464" in caplog.text
    monkeypatch.setenv("GANSU_METRICS_BIND", "9464")
    with pytest.raises(SettingsError, match="GANSU_METRICS_BIND"):
        notifiers.observing(NAME, stopping)
