"""The start-up probe refuses every store that would let history fork."""

from collections.abc import Callable
from itertools import count
from threading import Thread

import pytest

from shared.clock import SystemClock
from shared.storage.memory import MemoryStore, drop, refuse
from shared.storage.objects import Denied, Uncertain
from shared.storage.probe import UnsafeStore, probe
from tests.support.hostile import (
    AnswersAnything,
    ChecksThenStores,
    ChecksThenStoresWhenWarm,
    Fast,
    IgnoresAfter,
    IgnoresCondition,
    ListsLate,
    LosesRacersReplies,
    ReplacesAndRefuses,
    StoresTheLoser,
    Undated,
    Versioned,
)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (IgnoresCondition, "ignores the create condition"),
        (ReplacesAndRefuses, "replaced the object"),
        (ChecksThenStores, "not atomic"),
        (ChecksThenStoresWhenWarm, "not atomic"),
        (StoresTheLoser, "not atomic"),
        (AnswersAnything, "never stored"),
        (Versioned, "versioning is suspended"),
        (ListsLate, "listing"),
        (IgnoresAfter, "listing"),
        (Fast, "differ by 31 s"),
        (Undated, "no Date"),
    ],
)
def test_an_unsafe_store_is_refused(make: Callable[[], MemoryStore], complaint: str) -> None:
    store = make()
    with pytest.raises(UnsafeStore, match=complaint):
        probe(store, "commerce/", SystemClock())
    assert store.bucket.list("", "", 10) == []


def test_a_safe_store_passes_and_is_left_clean() -> None:
    store = MemoryStore()
    store.create("commerce/journal/1", b"x")
    probe(store, "commerce/", SystemClock())
    assert [row.key for row in store.list("")] == ["commerce/journal/1"]
    assert all(
        call.key.startswith("commerce/probe/")
        for call in store.calls
        if call.operation in ("create", "delete") and call.key != "commerce/journal/1"
    )


def test_credentials_that_may_not_delete_leave_a_few_small_objects() -> None:
    store = MemoryStore()
    store.inject("delete", refuse(Denied("403")), times=7)
    probe(store, "", SystemClock())
    assert len(store.list("probe/")) == 7


def test_racers_that_hear_nothing_prove_nothing() -> None:
    probe(LosesRacersReplies(), "p/", SystemClock())


def test_racers_that_have_no_threads_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    started = count()
    begin = Thread.start

    def start(thread: Thread) -> None:
        if next(started) == 7:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        probe(MemoryStore(), "", SystemClock())


def test_a_store_that_cannot_be_asked_is_not_called_unsafe() -> None:
    store = MemoryStore()
    store.inject("create", drop)
    with pytest.raises(Uncertain):
        probe(store, "", SystemClock())


def test_two_processes_probe_at_once_without_meeting() -> None:
    store = MemoryStore()
    probe(store, "", SystemClock())
    probe(store, "", SystemClock())
    places = {call.key.split("/")[1] for call in store.calls if call.operation == "create"}
    assert len(places) == 2
