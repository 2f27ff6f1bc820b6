"""The faults that a test can ask of the store in memory."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from shared.clock import SystemClock
from shared.storage.memory import (
    Gate,
    Late,
    MemoryBucket,
    MemoryStore,
    delay,
    drop,
    garble,
    lose_reply,
    refuse,
)
from shared.storage.objects import Absent, Denied, Exists, Uncertain


class StillClock(SystemClock):
    """Stands still but for its sleeps."""

    def __init__(self, now_ms: int = 0) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


def test_a_lost_reply_is_stored_all_the_same() -> None:
    store = MemoryStore()
    store.inject("create", lose_reply)
    with pytest.raises(Uncertain):
        store.create("k", b"x")
    assert store.get("k") == b"x"


def test_the_reply_that_is_lost_may_be_a_refusal() -> None:
    store = MemoryStore()
    store.create("k", b"x")
    store.inject("create", lose_reply)
    with pytest.raises(Uncertain):
        store.create("k", b"y")
    assert store.get("k") == b"x"


def test_a_dropped_request_is_not_stored() -> None:
    store = MemoryStore()
    store.inject("create", drop)
    with pytest.raises(Uncertain):
        store.create("k", b"x")
    with pytest.raises(Absent):
        store.get("k")


def test_a_late_request_is_stored_when_it_lands_and_only_if_it_still_can() -> None:
    store = MemoryStore()
    early, late = Late(), Late()
    store.inject("create", early)
    store.inject("create", late)
    for body in (b"first", b"second"):
        with pytest.raises(Uncertain):
            store.create("k", body)
    with pytest.raises(Absent):
        store.get("k")
    early.land()
    with pytest.raises(Exists):
        late.land()
    assert store.get("k") == b"first"


def test_a_refusal_applies_nothing() -> None:
    store = MemoryStore()
    store.inject("create", refuse(Exists("409")))
    store.inject("get", refuse(Denied("403")))
    with pytest.raises(Exists):
        store.create("k", b"x")
    with pytest.raises(Denied):
        store.get("k")
    assert store.list("") == []


def test_a_get_can_be_garbled() -> None:
    store = MemoryStore()
    store.create("k", b"bytes")
    store.inject("get", garble(lambda body: body[:-1]))
    assert [store.get("k"), store.get("k")] == [b"byte", b"bytes"]


def test_faults_are_taken_in_order_by_the_calls_they_are_meant_for() -> None:
    store = MemoryStore()
    store.inject("create", drop, key="b/")
    store.inject("create", lose_reply, times=2)
    for key in ("a/1", "b/1", "b/2", "b/3"):
        with suppress(Uncertain):
            store.create(key, b"x")
    assert [(call.key, call.outcome) for call in store.calls] == [
        ("a/1", "Uncertain"),
        ("b/1", "Uncertain"),
        ("b/2", "Uncertain"),
        ("b/3", "ok"),
    ]
    assert [row.key for row in store.list("")] == ["a/1", "b/2", "b/3"]


def test_calls_are_counted() -> None:
    store = MemoryStore()
    store.create("a/1", b"x")
    with pytest.raises(Exists):
        store.create("a/1", b"x")
    with pytest.raises(Absent):
        store.get("b")
    assert store.count("create") == 2
    assert store.count("create", outcome="ok") == 1
    assert store.count("create", key="b") == 0
    assert store.count("get", outcome="Absent") == 1


def test_a_gate_holds_the_request() -> None:
    store = MemoryStore()
    store.inject("create", gate := Gate())
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(store.create, "k", b"mine")
        gate.wait()
        store.create("k", b"theirs")
        gate.release()
        with pytest.raises(Exists):
            held.result()


def test_a_gate_can_hold_the_reply() -> None:
    store = MemoryStore()
    store.inject("create", gate := Gate(reply=True))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(store.create, "k", b"mine")
        gate.wait()
        assert store.get("k") == b"mine"
        assert not held.done()
        gate.release()
        held.result()


def test_a_gate_that_nobody_opens_gives_up() -> None:
    store = MemoryStore()
    store.inject("create", Gate(limit_seconds=0.01))
    with pytest.raises(TimeoutError):
        store.create("k", b"x")


def test_a_delay_passes_on_the_clock_it_is_given() -> None:
    clock = StillClock()
    store = MemoryStore()
    store.inject("create", delay(clock, 1.5))
    store.create("k", b"x")
    assert clock.ms == 1500


def test_clients_share_a_bucket_but_neither_faults_nor_clocks() -> None:
    bucket = MemoryBucket(StillClock(100_000))
    one = MemoryStore(bucket, StillClock(100_000))
    other = MemoryStore(bucket, StillClock(30_000))
    one.inject("create", drop)
    other.create("k", b"x")
    assert one.get("k") == b"x"
    assert (one.clock_skew_ms(), other.clock_skew_ms()) == (0, 70_000)


def test_a_tampered_object_is_what_a_client_reads() -> None:
    store = MemoryStore()
    store.create("k", b"x")
    store.bucket.tamper("k", b"y")
    assert store.get("k") == b"y"
