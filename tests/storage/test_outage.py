"""A store that is away: what is known goes on, whatever needs it is refused at once, it ends."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from shared.condition import Check, Condition
from shared.errors import BUSY, NOT_FOUND
from shared.storage import pulse, rounds
from shared.storage.access import FRESH, Freshness, recent
from shared.storage.committer import CommitLimits
from shared.storage.memory import Gate, drop, lose_reply, refuse
from shared.storage.objects import Absent, Denied, Uncertain
from shared.storage.pending import Pending
from shared.storage.pulse import Pulse
from shared.storage.rounds import Rounds
from shared.storage.state import STUCK_SECONDS, TOLD_SECONDS, DatabaseState, Thresholds
from tests.storage.world import JOURNAL, Caller, Container, World, add_stock, note, problem
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until

DAY = 86_400.0


def away(here: Container) -> None:
    """The store is gone, and that is known."""
    for operation in ("get", "list", "create"):
        here.store.inject(operation, refuse(Uncertain("refused")), times=1000)
    for _ in range(2):
        assert problem(Caller(lambda: here.database.read(lambda view: view.seq)).outcome()) == BUSY
        here.clock.pass_monotonic(pulse.AWAY_SECONDS)
    assert problem(Caller(lambda: here.database.read(lambda view: view.seq)).outcome()) == BUSY
    assert here.database.pulse.is_away()


def back(here: Container) -> None:
    here.store._faults.clear()


def calls(here: Container) -> int:
    return sum(here.store.count(operation, "") for operation in ("get", "list", "create"))


def aged(ages: list[float], *, bound: float = 1.0, outage: float = DAY) -> Freshness:
    return Freshness(bound, outage_seconds=outage, aged=ages.append)


@pytest.fixture
def here(world: World) -> Iterator[Container]:
    made = world.container("here")
    made.database.transact(add_stock("lily", 10))
    yield made
    back(made)


# What lives on


def test_what_was_known_goes_on_and_says_how_old_it_is(here: Container) -> None:
    away(here)
    here.clock.pass_monotonic(100)
    ages: list[float] = []
    found = here.database.read(lambda view: view.require("stock", "lily"), aged(ages))
    assert found.value.body["left"] == 10
    [age] = ages
    assert 100 < age < 200


def test_nothing_says_an_age_while_the_store_answers(here: Container) -> None:
    here.clock.pass_monotonic(100)
    ages: list[float] = []
    here.database.read(lambda view: view.seq, aged(ages))
    assert ages == []


def test_what_is_older_than_it_may_be_is_refused(here: Container) -> None:
    away(here)
    here.clock.pass_monotonic(100)
    old = Caller(lambda: here.database.read(lambda view: view.seq, aged([], outage=60)))
    assert problem(old.outcome()) == BUSY


@pytest.mark.parametrize("freshness", [FRESH, recent(1.0)], ids=["fresh", "recent"])
def test_whoever_does_not_say_so_is_never_answered_from_what_was_known(
    here: Container, freshness: Freshness
) -> None:
    away(here)
    here.clock.pass_monotonic(2)
    asked = Caller(lambda: here.database.read(lambda view: view.seq, freshness))
    assert problem(asked.outcome()) == BUSY


def test_who_names_an_entry_reads_it_and_is_told_the_age(here: Container) -> None:
    away(here)
    ages: list[float] = []
    named = Freshness(at_least_seq=2, aged=ages.append)
    assert here.database.read(lambda view: view.seq, named).seq == 2
    assert len(ages) == 1
    beyond = Freshness(at_least_seq=3)
    assert problem(Caller(lambda: here.database.read(lambda v: v.seq, beyond)).outcome()) == BUSY


def test_nobody_is_told_an_age_that_is_not_known(world: World, here: Container) -> None:
    new = world.container("new")
    away(new)
    ages: list[float] = []
    named = Freshness(at_least_seq=2, aged=ages.append)
    assert problem(Caller(lambda: new.database.read(lambda v: v.seq, named)).outcome()) == BUSY
    assert ages == []
    back(new)


def test_nor_whether_there_is_such_a_thing(world: World, here: Container) -> None:
    """Or whose id is guessed could be told from one that nobody has."""
    new = world.container("new")
    away(new)
    named = Freshness(at_least_seq=2)
    for key in ("lily", "absent"):
        asked = Caller(partial(new.database.read_one, "stock", key, named))
        assert problem(asked.outcome()) == BUSY
    back(new)
    away(here)
    absent = Caller(partial(here.database.read_one, "stock", "absent", named))
    assert problem(absent.outcome()) == NOT_FOUND


# What is refused at once


def test_nobody_asks_a_store_that_is_known_to_be_away(here: Container) -> None:
    away(here)
    before = calls(here)
    for _ in range(20):
        refused = Caller(lambda: here.database.transact(note("n"))).outcome()
        assert problem(refused) == BUSY
        assert getattr(refused, "retry_after_seconds", None) == 5
        assert problem(Caller(lambda: here.database.read(lambda v: v.seq)).outcome()) == BUSY
    assert calls(here) == before


def test_one_may_try_now_and_then_and_ends_the_outage_for_all(here: Container) -> None:
    away(here)
    back(here)
    here.clock.pass_monotonic(pulse.TRIAL_SECONDS + 1)
    assert here.database.transact(note("first")).seq == 3
    assert not here.database.pulse.is_away()
    assert here.database.transact(note("second")).seq == 4


def test_the_tailers_answer_ends_it_for_the_other_processes(here: Container) -> None:
    other = here.process()
    other.transact(note("of the other"))
    away(here)
    back(here)
    other.read(lambda view: view.seq)  # its proof stands on the board that both share
    assert here.database.transact(note("n")).seq == 4


def test_a_single_failure_is_no_outage(here: Container) -> None:
    here.store.inject("get", refuse(Uncertain("500")), key=JOURNAL)
    assert problem(Caller(lambda: here.database.read(lambda view: view.seq)).outcome()) == BUSY
    here.clock.pass_monotonic(10)
    assert here.database.transact(note("n")).seq == 3


def test_a_store_that_takes_no_writes_leaves_all_reads_alive(here: Container) -> None:
    here.store.inject("create", refuse(Uncertain("507")), key=JOURNAL, times=1000)
    for _ in range(rounds.FAILED_ROUNDS_MAX):
        assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == BUSY
    before = here.store.count("create", JOURNAL)
    for _ in range(20):
        assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == BUSY
    assert here.store.count("create", JOURNAL) == before, "nobody offers what will not be taken"
    assert here.database.read(lambda view: view.seq).seq == 2

    here.clock.pass_monotonic(rounds.HOLD_SECONDS)
    back(here)
    assert here.database.transact(note("n")).seq == 3
    assert here.database.transact(note("m")).seq == 4


def test_those_who_gave_up_meanwhile_say_nothing_of_the_store(here: Container) -> None:
    here.store.inject("create", refuse(Uncertain("507")), key=JOURNAL, times=1000)
    for _ in range(rounds.FAILED_ROUNDS_MAX):
        assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == BUSY
        late = Pending(note("late"), here.clock.monotonic())
        late.abandoned = True
        here.committer._round([late])
        latest = here.committer.rounds.latest
        assert latest is not None
        assert latest.trouble, "a round of nobody's decides nothing"
    assert here.committer.rounds.are_held_up()


def test_nobody_queues_behind_a_round_that_hangs(here: Container) -> None:
    here.store.inject("create", gate := Gate(), key=JOURNAL)
    first = Caller(lambda: here.database.transact(note("first")))
    gate.wait()
    here.clock.pass_monotonic(rounds.STALL_SECONDS + 1)
    assert here.database.read(lambda view: view.seq).seq == 2, "only creates hang"
    assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == BUSY
    assert here.committer.figures.shed == 1
    gate.release()
    assert first.value().seq == 3, "whose outcome is open waits for it"
    assert here.database.transact(note("n")).seq == 4


def test_a_round_that_ends_in_the_unforeseen_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world.container("brief", limits=CommitLimits(patience_seconds=0.3))

    def breaks(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(here.committer, "_attempt", breaks)
        first = Caller(lambda: here.database.transact(note("n")))
        wait_until(lambda: here.committer.rounds.latest is not None, "the round is over")
    here.clock.pass_monotonic(rounds.STALL_SECONDS + 1)
    assert here.database.transact(note("m")).seq == 2
    assert problem(first.outcome()) == BUSY


def test_a_refusal_takes_back_nothing_that_was_stored(here: Container, world: World) -> None:
    """Undecided: it is refused, and done. The repetition is told so."""
    here.store.inject("create", lose_reply, key=JOURNAL)
    here.store.inject("get", drop, key=JOURNAL, times=1)
    here.store.inject("create", drop, key=JOURNAL, times=2)
    here.store.inject("get", drop, key=JOURNAL, times=2)
    assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == BUSY
    back(here)
    assert world.head() == 3
    assert here.database.read(lambda view: view.get("notes", "n")).value is not None


# The pulse


class Store:
    """Answers as it is told to."""

    def __init__(self) -> None:
        self.act: Callable[[], bytes] = lambda: b""

    def get(self, key: str) -> bytes:
        return self.act()

    def clock_skew_ms(self) -> int | None:
        return None


def failing(error: Exception) -> Callable[[], bytes]:
    def act() -> bytes:
        raise error

    return act


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def asked(heart: Pulse) -> None:
    Caller(lambda: heart.get("k")).outcome()


@pytest.mark.parametrize("error", [Uncertain("x"), Denied("x")], ids=["uncertain", "denied"])
def test_failures_over_time_and_no_answer_between_are_an_outage(
    clock: FakeClock, error: Exception
) -> None:
    store = Store()
    heart = Pulse(store, clock)  # type: ignore[arg-type]
    store.act = failing(error)
    asked(heart)
    assert not heart.is_away()
    clock.pass_monotonic(pulse.AWAY_SECONDS + 0.1)
    asked(heart)
    assert heart.is_away()
    store.act = failing(Absent("no such key"))
    asked(heart)
    assert not heart.is_away(), "absence is an answer"


def test_what_was_asked_before_an_answer_and_fails_after_it_says_nothing(clock: FakeClock) -> None:
    store = Store()
    heart = Pulse(store, clock)  # type: ignore[arg-type]
    hangs = threading.Event()

    def late() -> bytes:
        hangs.wait(10)
        raise Uncertain("silence")

    store.act = late
    hung = Caller(lambda: heart.get("k"))
    wait_until(lambda: bool(heart._waiting), "it hangs")
    clock.pass_monotonic(5)
    assert heart.is_away(), "nothing was answered since it began"
    store.act = lambda: b""
    asked(heart)
    assert not heart.is_away()
    clock.pass_monotonic(5)
    hangs.set()
    hung.outcome()
    assert heart.silence() is None
    assert not heart.is_away()


def test_of_many_only_one_tries(clock: FakeClock) -> None:
    store = Store()
    heart = Pulse(store, clock)  # type: ignore[arg-type]
    store.act = failing(Uncertain("x"))
    asked(heart)
    clock.pass_monotonic(3)
    asked(heart)
    assert heart.refuses()
    clock.pass_monotonic(pulse.TRIAL_SECONDS + 0.1)
    assert [heart.refuses() for _ in range(5)] == [False, True, True, True, True]


def test_rounds_that_others_than_the_store_refuse_hold_nobody_up(clock: FakeClock) -> None:
    kept = Rounds(clock)
    for _ in range(5):
        kept.begin()
        kept.end("the clock is off", by_store=False)
    assert not kept.are_held_up()


# What the checks say


@pytest.fixture
def condition(here: Container) -> Condition:
    return Condition(here.clock, DatabaseState(here.database, here.clock))


def check(condition: Condition, name: str) -> Check:
    [found] = [check for check in condition.checks() if check.name == name]
    return found


def states(condition: Condition) -> dict[str, str]:
    return {check.name: check.state for check in condition.known() if check.state != "ok"}


def test_an_outage_degrades_and_takes_nobody_out_of_service(
    here: Container, condition: Condition
) -> None:
    condition.checks()
    wait_until(lambda: states(condition) == {}, "search is level")
    assert states(condition) == {}
    away(here)
    here.clock.pass_monotonic(20)
    found = check(condition, "store")
    assert found.state == "degraded"
    assert found.says.startswith("the object store does not answer: refused")
    assert found.advice
    assert states(condition) == dict.fromkeys(("store", "replica", "writes"), "degraded")
    assert condition.is_ready()

    back(here)
    here.clock.pass_monotonic(pulse.TRIAL_SECONDS + 1)
    here.database.transact(note("n"))
    assert states(condition) == {}


def test_a_check_says_since_when(here: Container, condition: Condition) -> None:
    before = check(condition, "store")
    here.clock.pass_wall(seconds=60)
    assert check(condition, "store").since_ms == before.since_ms
    away(here)
    assert check(condition, "store").since_ms == here.clock.now_ms()


def test_health_answers_though_the_store_is_silent(here: Container) -> None:
    condition = Condition(here.clock, DatabaseState(here.database, here.clock))
    here.store.inject("get", gate := Gate(), key=JOURNAL)
    here.clock.pass_monotonic(3)
    assert {found.name for found in condition.checks()} >= {"store", "replica"}
    gate.wait()
    here.clock.pass_monotonic(pulse.SILENT_SECONDS + 1)
    assert check(condition, "store").state == "degraded"
    gate.release()
    wait_until(lambda: check(condition, "store").state == "ok", "it is noticed")


def test_refused_writes_are_told_of_for_a_while(here: Container, condition: Condition) -> None:
    here.store.inject("create", refuse(Uncertain("507")), key=JOURNAL, times=3)
    assert problem(Caller(lambda: here.database.transact(note("n"))).outcome()) == BUSY
    found = check(condition, "writes")
    assert found.state == "degraded"
    assert "507" in found.says
    assert condition.is_ready()
    here.clock.pass_monotonic(TOLD_SECONDS + 1)
    assert check(condition, "writes").state == "ok"


def test_a_clock_is_told_of_before_it_stops_writes(here: Container) -> None:
    state = DatabaseState(here.database, here.clock, Thresholds(clock_seconds=5))
    condition = Condition(here.clock, state)
    here.clock.pass_wall(seconds=8)
    here.probe()
    assert check(condition, "clock").state == "degraded"
    assert here.database.transact(note("n")).seq == 3
    here.clock.pass_wall(seconds=30)
    here.probe()
    assert "nothing is written" in check(condition, "clock").says
    assert condition.is_ready()
    here.clock.pass_wall(seconds=-38)
    here.probe()
    assert check(condition, "clock").state == "ok"


def test_a_disk_that_fills_up_is_told_of(here: Container) -> None:
    state = DatabaseState(here.database, here.clock, Thresholds(disk_free_mib=1 << 40))
    assert check(Condition(here.clock, state), "disk").state == "degraded"


def test_an_entry_that_cannot_be_applied_makes_it_not_ready(world: World, here: Container) -> None:
    world.sound = False
    world.append(prev="0" * 64)
    condition = Condition(here.clock, DatabaseState(here.database, here.clock))
    assert problem(Caller(lambda: here.database.read(lambda view: view.seq)).outcome()) == BUSY
    found = check(condition, "journal")
    assert found.state == "failing"
    assert "journal entry 3 does not follow" in found.says
    assert not condition.is_ready()


def test_a_container_that_cannot_begin_is_not_ready_and_says_why(world: World) -> None:
    cold = world.container("cold", opened=False)
    for operation in ("get", "list", "create"):
        cold.store.inject(operation, refuse(Uncertain("refused")), times=1000)
    condition = Condition(cold.clock, DatabaseState(cold.database, cold.clock))
    found = check(condition, "replica")
    assert found.state == "failing"
    assert "does not answer" in found.says
    assert not condition.is_ready()
    assert condition.stuck() == [], "a restart would not help"


def test_a_thread_that_has_ended_asks_for_a_restart(here: Container, condition: Condition) -> None:
    assert condition.stuck() == []
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    committing, here.committer._thread = here.committer._thread, ended
    assert condition.stuck() == ["the committing thread has ended"]
    here.committer._thread = committing


def test_a_round_that_never_ends_asks_for_a_restart(here: Container, condition: Condition) -> None:
    here.committer.rounds.begin()
    here.clock.pass_monotonic(STUCK_SECONDS + 1)
    [said] = condition.stuck()
    assert said.startswith("the committing thread has been at one thing for 30")
    here.database.catching.building = True
    assert condition.stuck() == [], "a large replica takes its time, and would begin anew"
    here.database.catching.building = False
    here.committer.rounds.end("", by_store=False)
    assert condition.stuck() == []
