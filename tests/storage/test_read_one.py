"""Reading one document by its key: the same answer as a whole read."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.hub import get_hub

from shared import errors, waiting
from shared.storage import wal
from shared.storage.access import FRESH, Freshness, recent
from shared.storage.entry import Write
from shared.storage.reader import ReplicaBroken
from shared.storage.replica import READ_SECONDS
from shared.web.greenlets import GreenletWays
from tests.storage.archived import ARCHIVED, archive, fill, here_are, key, order
from tests.storage.world import Caller, Container, World, note, problem

HOWS = {"fresh": FRESH, "recent": recent(60), "at least": Freshness(at_least_seq=2)}


def text(container: Container, name: str, freshness: Freshness = FRESH) -> object:
    return container.database.read_one("notes", name, freshness).value.body["text"]


@pytest.mark.parametrize("freshness", HOWS.values(), ids=HOWS)
def test_it_is_what_a_whole_read_gives(here: Container, freshness: Freshness) -> None:
    here.database.transact(note("n", "hello"))
    here.database.transact(note("other"))

    found = here.database.read_one("notes", "n", freshness)

    assert found == here.database.read(lambda view: view.require("notes", "n"), freshness)
    assert (found.seq, found.value.body) == (3, {"text": "hello"})


def test_it_is_upgraded(here: Container, world: World) -> None:
    world.append(writes=(Write("pages", "p", 2 << 16 | 1, 1, b'{"name":"Mogao"}'),))

    assert here.database.read_one("pages", "p").value.body["title"] == "Mogao"


@pytest.mark.parametrize("freshness", HOWS.values(), ids=HOWS)
def test_what_is_not_there_is_not_found(here: Container, freshness: Freshness) -> None:
    here.database.transact(note("n"))

    outcome = Caller(lambda: here.database.read_one("notes", "m", freshness)).outcome()

    assert problem(outcome) == errors.NOT_FOUND


def test_a_fresh_read_sees_every_write_that_was_acknowledged_anywhere(
    here: Container, there: Container
) -> None:
    for turn in range(5):
        done = there.database.transact(note("n", f"{turn}"))
        found = here.database.read_one("notes", "n")
        assert (found.value.body["text"], found.seq) == (f"{turn}", done.seq)


def test_where_the_replica_is_behind_the_named_seq_the_journal_is_asked(
    here: Container, there: Container
) -> None:
    here.database.transact(note("n", "old"))
    seq = there.database.transact(note("n", "new")).seq

    assert text(here, "n", recent(60)) == "old"
    assert text(here, "n", Freshness(at_least_seq=seq)) == "new"


def test_what_is_not_here_yet_is_there(here: Container, there: Container) -> None:
    there.database.transact(note("n", "new"))
    assert text(here, "n") == "new"

    seq = there.database.transact(note("m", "newer")).seq
    assert text(here, "m", Freshness(at_least_seq=seq)) == "newer"


def test_a_recent_read_asks_the_store_for_nothing(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    before = len(here.store.calls)

    assert text(here, "n", recent(60)) == "hello"
    assert len(here.store.calls) == before


def test_what_is_not_there_is_proven_once(here: Container) -> None:
    here.database.transact(note("n"))
    before = len(here.store.calls)

    Caller(lambda: here.database.read_one("notes", "m")).outcome()

    assert [call.operation for call in here.store.calls[before:]] == ["get"]


@pytest.fixture
def archiving(world: World) -> Container:
    """With five orders in its archive, and none in its replica."""
    world.sound = False  # replaying knows another catalogue
    container = world.container("archiving", catalogue=ARCHIVED)
    fill(container, range(5))
    archive(container)
    assert here_are(container) == []
    return container


def test_what_is_archived_is_found(archiving: Container) -> None:
    before = len(archiving.store.calls)

    assert archiving.database.read_one("orders", key(3)).value.body["number"] == 3
    asked = [call.operation for call in archiving.store.calls[before:]]
    assert asked == ["get", "get_range", "get_range"]


def test_what_was_brought_back_is_as_it_is_now(archiving: Container) -> None:
    archiving.database.transact(order(3, state="disputed"))

    assert archiving.database.read_one("orders", key(3)).value.body["state"] == "disputed"


def test_the_deadline_of_a_read_that_is_over_does_not_cut_it_off(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    with here.replica.reading():
        pass
    here.clock.pass_monotonic(10 * READ_SECONDS)

    # SQLite asks its handler once in 20,000 steps, of which this takes some twenty.
    assert {text(here, "n", Freshness(at_least_seq=1)) for _ in range(3_000)} == {"hello"}
    assert here.follower.rebuilds == 1


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: shutil.rmtree(path.parent)])
def test_a_replica_that_is_gone_is_not_read(here: Container, damage: object) -> None:
    here.database.transact(note("n", "hello"))
    old = here.replica
    damage(old.path)  # type: ignore[operator]

    assert text(here, "n", Freshness(at_least_seq=1)) == "hello"
    assert here.replica is not old


@pytest.fixture
def greenlets() -> Iterator[None]:
    """Requests are greenlets of this thread."""
    waiting.wait_by(GreenletWays(get_hub()))
    yield
    waiting._here.ways = None


@pytest.mark.usefixtures("greenlets")
def test_requests_that_are_at_hand_together_look_at_the_files_once(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.database.transact(note("n", "hello"))
    assert text(here, "n", recent(60)) == "hello"  # which opens this thread's connection
    gevent.sleep(0)
    looks, check, me = list[int](), here.replica.check, threading.get_ident()

    def counted() -> int:
        looks.append(threading.get_ident())
        return check()

    def ask(number: int) -> object:
        if number:
            return text(here, "n", recent(60))
        return here.database.read(lambda view: view.seq, recent(60))

    monkeypatch.setattr(here.replica, "check", counted)
    for turn in (1, 2, 3):
        readers = [gevent.spawn(ask, number) for number in range(6)]
        gevent.joinall(readers, raise_error=True)
        gevent.sleep(0)
        assert looks.count(me) == turn


@pytest.mark.usefixtures("greenlets")
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: shutil.rmtree(path.parent)])
def test_a_replica_that_went_since_the_last_turn_is_not_read(
    here: Container, damage: object
) -> None:
    here.database.transact(note("n", "hello"))
    assert text(here, "n", recent(60)) == "hello"
    gevent.sleep(0)
    old = here.replica
    damage(old.path)  # type: ignore[operator]

    assert text(here, "n", recent(60)) == "hello"
    assert here.replica is not old


def ask_in_turn(container: Container, times: int) -> list[object]:
    """So many reads that are at hand together."""
    readers = [gevent.spawn(text, container, "n", recent(60)) for _ in range(times)]
    gevent.joinall(readers, raise_error=True)
    return [reader.value for reader in readers]


def hold(container: Container, expected: str) -> None:
    """Begin a turn, and have it hold a state."""
    gevent.sleep(0)
    for _ in range(2):
        assert text(container, "n", recent(60)) == expected
    assert any(session.held is not None for session in container.replica._sessions)


def statements_of(container: Container) -> list[str]:
    """What the calling thread's connection is told from now on."""
    statements: list[str] = []
    with container.replica._connection() as connection:
        connection.set_trace_callback(statements.append)
    return statements


@pytest.mark.usefixtures("greenlets")
def test_a_turns_reads_are_of_one_state(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    statements = statements_of(here)

    for turn in (1, 2):
        assert ask_in_turn(here, 5) == ["hello"] * 5
        gevent.sleep(0)
        assert statements.count("BEGIN") == statements.count("ROLLBACK") == turn
        assert len([told for told in statements if "FROM head" in told]) == 2 * turn

    Caller(lambda: _fold(here)).value()
    assert here.replica.log.size() == 0, "nobody reads a state of it any more"


@pytest.mark.usefixtures("greenlets")
def test_who_is_alone_in_a_turn_begins_no_transaction(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    statements = statements_of(here)

    for _ in range(3):
        assert text(here, "n", recent(60)) == "hello"
        gevent.sleep(0)

    assert len(statements) == 3


@pytest.mark.usefixtures("greenlets")
def test_what_was_written_within_a_turn_is_read_in_it(here: Container) -> None:
    here.database.transact(note("n", "old"))
    hold(here, "old")
    seq = Caller(lambda: here.database.transact(note("n", "new")).seq).value()

    assert here.replica.one("notes", "n", seq - 1) != here.replica.one("notes", "n", seq)
    found = here.database.read_one("notes", "n", Freshness(at_least_seq=seq))
    assert (found.value.body["text"], found.seq) == ("new", seq)
    assert here.database.read(lambda view: view.seq, recent(60)).value == seq
    assert text(here, "n", recent(60)) == "new"
    assert here.follower.rebuilds == 1


@pytest.mark.usefixtures("greenlets")
def test_what_is_told_its_age_stands_where_its_proof_does(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.database.transact(note("n", "old"))
    hold(here, "old")
    seq = Caller(lambda: here.database.transact(note("n", "new")).seq).value()
    assert here.database.parts is not None
    monkeypatch.setattr(here.database.parts.evidence, "is_store_away", lambda: True)
    ages: list[float] = []

    found = here.database.read_one("notes", "n", Freshness(at_least_seq=1, aged=ages.append))

    assert (found.seq, len(ages)) == (seq, 1)


@pytest.mark.usefixtures("greenlets")
def test_a_state_that_sqlite_has_ended_by_itself_condemns_nothing(here: Container) -> None:
    """As it does where memory runs out."""
    here.database.transact(note("n", "hello"))
    for end in (
        lambda: gevent.sleep(0),
        lambda: here.database.read(lambda view: view.seq, recent(60)),
    ):
        hold(here, "hello")
        [session] = [each for each in here.replica._sessions if each.held is not None]
        session.connection.execute("ROLLBACK")
        end()
        assert not session.connection.in_transaction

    assert here.follower.rebuilds == 1


@pytest.mark.usefixtures("greenlets", "folding")
def test_a_held_state_is_in_nobodys_way_in_its_own_thread(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    hold(here, "hello")

    assert here.replica.fold()
    assert not any(session.held is not None for session in here.replica._sessions)
    assert here.follower.rebuilds == 1


@pytest.mark.usefixtures("greenlets")
def test_no_state_is_held_of_a_log_that_has_grown(
    here: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.database.transact(note("n", "hello"))
    statements = statements_of(here)
    monkeypatch.setattr(wal, "SHORT_BYTES", here.replica.log.size() - 1)

    assert ask_in_turn(here, 5) == ["hello"] * 5
    gevent.sleep(0)

    assert len(statements) == 5


@pytest.mark.usefixtures("greenlets")
def test_a_replica_that_is_replaced_within_a_turn_is_read_no_further(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    hold(here, "hello")
    old = here.replica
    Caller(lambda: here.follower.renew(old)).value()

    assert ask_in_turn(here, 2) == ["hello"] * 2
    gevent.sleep(0)
    with pytest.raises(ReplicaBroken, match="was closed"):
        old.one("notes", "n")
    assert not any(each.held is not None or each.in_use.locked() for each in old._sessions)


@pytest.mark.parametrize(
    "damage", ["UPDATE docs SET body = replace(body, 'hello', 'jello')", "DROP TABLE docs"]
)
def test_a_replica_that_is_damaged_is_replaced(here: Container, damage: str) -> None:
    here.database.transact(note("n", "hello"))
    old = here.replica
    with old._connection() as connection:
        connection.execute(damage)

    assert text(here, "n", recent(60)) == "hello"
    assert here.replica is not old


def test_a_mistake_of_the_caller_is_the_callers(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    with pytest.raises(sqlite3.ProgrammingError):
        here.database.read_one("notes", ["n"])  # type: ignore[arg-type]

    assert text(here, "n") == "hello", "the connection serves on"
    assert here.follower.rebuilds == 1


def test_document_and_entry_are_read_by_one_statement(here: Container) -> None:
    """Of two, the second would see what was applied after the first."""
    here.database.transact(note("n", "hello"))
    statements: list[str] = []
    with here.replica._connection() as connection:
        connection.set_trace_callback(statements.append)

    assert here.replica.one("notes", "n") is not None
    assert len(statements) == 1


def test_it_leaves_no_state_open(here: Container) -> None:
    here.database.transact(note("n", "hello"))
    with here.replica._connection() as connection:
        connection.execute("UPDATE docs SET sum = 0")
    with pytest.raises(ReplicaBroken) as caught:
        here.replica.one("notes", "n")

    # The log is not emptied under anybody who still reads a state of it.
    Caller(lambda: _fold(here)).value()
    assert here.replica.log.size() == 0, caught
    here.follower.renew(here.replica)


def _fold(container: Container) -> None:
    with container.replica._connection() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_it_is_not_asked_for_inside_of_a_read(here: Container) -> None:
    here.database.transact(note("n"))

    with pytest.raises(RuntimeError, match="inside another"):
        here.database.read(lambda view: here.database.read_one("notes", "n"))
