"""The proxy that breaks requests leaves all others as they were, and breaks as it says."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from shared.clock import SystemClock
from shared.storage import http1
from shared.storage.objects import Absent, Exists, Uncertain
from shared.storage.probe import probe
from shared.storage.s3 import S3Store
from tests.support.fault_proxy import (
    Fault,
    FaultProxy,
    delayed,
    drop,
    fail,
    garble,
    late,
    lose_reply,
)
from tests.support.seaweed import SeaweedServer, new_bucket
from tests.support.waiting import wait_until

Pair = tuple[S3Store, FaultProxy]


@pytest.fixture
def proxied(seaweed: SeaweedServer) -> Iterator[Pair]:
    """A store behind a proxy."""
    address = new_bucket(seaweed)
    with FaultProxy(address.endpoint_url or "") as proxy:
        behind = replace(address, endpoint_url=proxy.endpoint)
        with closing(S3Store(behind, SystemClock())) as store:
            yield store, proxy


def test_the_whole_contract_passes_through(proxied: Pair) -> None:
    store, proxy = proxied
    probe(store, "commerce/", SystemClock())
    assert proxy.forwarded


@pytest.mark.parametrize("fault", [lose_reply, garble, fail])
def test_what_the_client_is_not_told_is_stored(proxied: Pair, fault: Fault) -> None:
    store, proxy = proxied
    proxy.inject(fault, method="PUT", path="/journal/")
    store.create("other/1", b"x")
    with pytest.raises(Uncertain):
        store.create("journal/1", b"x")
    assert proxy.pending == 0
    assert store.get("journal/1") == b"x"
    with pytest.raises(Exists):
        store.create("journal/1", b"x")


def test_a_dropped_request_is_not_stored(proxied: Pair) -> None:
    store, proxy = proxied
    proxy.inject(drop, method="PUT")
    with pytest.raises(Uncertain):
        store.create("journal/1", b"x")
    with pytest.raises(Absent):
        store.get("journal/1")


@pytest.mark.parametrize("fault", [late(1.0), delayed(1.0)])
def test_an_answer_may_come_too_late(
    proxied: Pair, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, proxy = proxied
    store.create("journal/1", b"x")  # so that the bucket has its first volume
    proxy.inject(fault, method="PUT")
    monkeypatch.setattr(http1, "SILENCE_SECONDS", 0.5)
    with pytest.raises(Uncertain):
        store.create("journal/2", b"x")
    monkeypatch.undo()
    wait_until(lambda: len(store.list("journal/")) == 2, "the request to arrive all the same")


def test_latency_is_added(proxied: Pair) -> None:
    store, proxy = proxied
    proxy.latency_seconds = 0.2
    clock = SystemClock()
    began = clock.monotonic()
    with pytest.raises(Absent):
        store.get("nothing")
    assert clock.monotonic() - began >= 0.2
