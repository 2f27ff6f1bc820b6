"""Reading: fresh sees all that was acknowledged, recent rests on a proof young enough, and both
share their probes.
"""

from pathlib import Path

import pytest

from shared.storage.access import FRESH, Document, Freshness, ReadView, recent
from shared.storage.memory import Gate
from shared.storage.proofs import Board, Proof
from tests.storage.world import JOURNAL, Caller, Container, World, note, together
from tests.support.waiting import wait_until


def notes(view: ReadView) -> Document | None:
    return view.get("notes", "n")


def text(document: Document | None) -> object:
    return None if document is None else document.body


def gets(container: Container) -> int:
    return container.store.count("get", JOURNAL)


def test_a_fresh_read_sees_what_was_acknowledged_elsewhere(
    here: Container, there: Container
) -> None:
    for number in range(20):
        written = there.database.transact(note("n", str(number)))

        read = here.database.read(notes, FRESH)

        assert read.seq >= written.seq
        assert text(read.value) == text(
            there.database.read(notes, Freshness(at_least_seq=written.seq)).value
        )


def test_a_recent_read_asks_the_store_only_when_its_proof_is_too_old(
    here: Container, there: Container
) -> None:
    here.database.transact(note("n", "old"))
    here.database.read(notes, FRESH)
    asked = gets(here)
    there.database.transact(note("n", "new"))

    young = here.database.read(notes, recent(60.0))

    assert gets(here) == asked
    assert young.seq == 2

    aged = here.database.read(notes, recent(0.0))

    assert gets(here) > asked
    assert aged.seq == 3


def test_who_knows_an_entry_reads_it_without_a_probe(here: Container) -> None:
    seq = here.database.transact(note("n", "mine")).seq
    asked = gets(here)

    assert here.database.read(notes, Freshness(at_least_seq=seq)).seq == seq
    assert gets(here) == asked


def test_an_entry_that_is_not_here_yet_is_fetched(here: Container, there: Container) -> None:
    here.database.read(notes, FRESH)
    seq = there.database.transact(note("n", "theirs")).seq

    assert here.database.read(notes, Freshness(at_least_seq=seq)).seq == seq


def test_readers_who_wait_share_one_probe(here: Container) -> None:
    here.database.transact(note("n", "there"))
    gate = Gate()
    here.store.inject("get", gate, key=JOURNAL)
    first = Caller(lambda: here.database.read(notes, FRESH))
    gate.wait()
    asked = gets(here)

    # The probe under way began before these asked, so it proves nothing to them.
    waiting = [Caller(lambda: here.database.read(notes, FRESH)) for _ in range(10)]
    semaphore = here.database._readers
    wait_until(lambda: semaphore._value == semaphore._initial_value - 11, "eleven readers")
    gate.release()

    assert {caller.value().seq for caller in [first, *waiting]} == {2}
    assert gets(here) - asked <= 2


def test_a_winning_create_is_a_proof(here: Container) -> None:
    before = here.clock.monotonic()
    here.database.transact(note("n", "won"))
    asked = gets(here)

    proof = here.database._opened().prover.prove(before, before + 5)

    assert proof.seq == 2
    assert gets(here) == asked


def test_a_torn_record_on_the_board_is_no_proof(tmp_path: Path) -> None:
    board = Board(tmp_path / "proof")
    board.write(Proof(7, 1.5))
    assert board.read() == Proof(7, 1.5)

    torn = bytearray((tmp_path / "proof").read_bytes())
    torn[3] ^= 1
    (tmp_path / "proof").write_bytes(torn)

    assert board.read() is None
    board.close()


@pytest.mark.parametrize("writers", [4])
def test_no_reader_misses_a_write_among_many(
    here: Container, there: Container, world: World, writers: int
) -> None:
    def write_and_look(writer: int) -> None:
        for number in range(10):
            name = f"n{writer}-{number}"
            seq = here.database.transact(note(name, "written")).seq
            seen = there.database.read(lambda view, name=name: view.get("notes", name), FRESH)  # type: ignore[misc]
            assert seen.value is not None
            assert seen.seq >= seq

    outcomes = together(*(lambda w=w: write_and_look(w) for w in range(writers)))  # type: ignore[misc]

    assert outcomes == [None] * writers
