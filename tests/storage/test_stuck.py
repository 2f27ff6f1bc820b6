"""What asks for a restart, and what must not; what asking costs, and what is said at first."""

import threading
from pathlib import Path

import pytest

from shared.clock import Clock
from shared.condition import Condition
from shared.errors import BUSY, Refused
from shared.storage.memory import Gate
from shared.storage.objects import Denied
from shared.storage.state import STUCK_SECONDS, DatabaseState
from shared.storage.tailer import Tailer
from tests.storage.world import JOURNAL, Caller, World, note
from tests.support.clock import FakeClock


def none_to_be_had(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_who_waited_for_a_long_rebuild_has_not_stood_still(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world.container("here")
    condition = Condition(here.clock, DatabaseState(here.database, here.clock))
    here.committer.rounds.begin()
    build = here.follower._build

    def slowly(path: Path) -> None:
        build(path)
        here.clock.pass_monotonic(STUCK_SECONDS + 1)

    monkeypatch.setattr(here.follower, "_build", slowly)
    here.follower.renew(here.replica)
    assert here.committer.rounds.under_way_seconds() > STUCK_SECONDS
    assert condition.stuck() == []
    here.committer.rounds.decided()


def test_a_committing_thread_that_cannot_begin_does_so_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world.container("here")
    with monkeypatch.context() as poor:
        poor.setattr(threading.Thread, "start", none_to_be_had)
        with pytest.raises(Refused) as outcome:
            here.committer.commit(note("n"))
    assert outcome.value.problem == BUSY
    assert not here.committer.has_ended()
    assert here.committer.waiting == 0
    assert here.committer.commit(note("n")).seq == 2


def test_a_tailer_that_cannot_begin_does_so_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticked = threading.Event()
    clock: Clock = FakeClock()
    tailer = Tailer(tmp_path / "tailer.lock", clock, ticked.set)
    with monkeypatch.context() as poor:
        poor.setattr(threading.Thread, "start", none_to_be_had)
        tailer.touch()
    assert not tailer.has_ended()
    tailer.touch()
    assert ticked.wait(30)
    tailer.close()


def test_those_who_asked_in_vain_leave_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world.container("here")
    monkeypatch.setattr("shared.condition.LOOK_SECONDS", 0.0)
    condition = Condition(here.clock, DatabaseState(here.database, here.clock))
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    here.clock.pass_monotonic(3)
    asked = Caller(condition.checks)
    gate.wait()
    for _ in range(20):
        condition.checks()
    asked.value()
    assert condition._waiting == []
    gate.release()


def test_a_store_that_lets_nobody_in_at_first_is_not_said_to_be_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = world.container("cold", opened=False)

    def admit() -> None:
        raise Denied("403")

    with monkeypatch.context() as locked:
        locked.setattr(cold.database, "_admit", admit)
        condition = Condition(cold.clock, DatabaseState(cold.database, cold.clock))
        [store] = [found for found in condition.checks() if found.name == "store"]
        assert store.state == "degraded"
        assert "403" in store.says
    cold.clock.pass_monotonic(3)
    [store] = [found for found in condition.checks() if found.name == "store"]
    assert store.state == "ok"
