"""Proofs of the head and the board on which a container's processes leave them."""

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.storage.objects import Uncertain
from shared.storage.proofs import Board, Proof, Prover
from tests.storage.world import Caller
from tests.support.clock import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "proof"


@pytest.fixture
def board(path: Path) -> Iterator[Board]:
    made = Board(path)
    yield made
    made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def nobody() -> int:
    raise AssertionError("nothing had to be probed")


def test_what_one_process_writes_another_reads(board: Board, path: Path) -> None:
    assert board.read() is None
    board.write(Proof(7, 1.5))
    other = Board(path)

    assert other.read() == Proof(7, 1.5)
    other.write(Proof(8, 2.5))
    assert board.read() == Proof(8, 2.5)
    other.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 1 << 60),
    st.floats(0, 1e9),
    st.integers(0, 1 << 60),
    st.floats(0, 1e9),
    st.integers(1, 19),
)
def test_a_torn_record_is_no_proof(
    board: Board, path: Path, seq: int, began: float, new_seq: int, new_began: float, cut: int
) -> None:
    board.write(Proof(seq, began))
    before = path.read_bytes()
    board.write(Proof(new_seq, new_began))
    after = path.read_bytes()
    path.write_bytes(after[:cut] + before[cut:])

    assert board.read() in (None, Proof(seq, began), Proof(new_seq, new_began))
    path.write_bytes(after[:cut])
    assert board.read() is None


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 20, b"\xff" * 20, b"proof", random.Random(1).randbytes(20)]
)
def test_whatever_else_stands_there_is_no_proof(
    board: Board, path: Path, clock: FakeClock, content: bytes
) -> None:
    path.write_bytes(content)
    prover = Prover(clock, board, nobody)

    assert prover.latest().began == float("-inf") or content == b"\x00" * 20
    assert prover.latest().seq == 0


def test_a_record_from_the_future_is_from_another_boot(board: Board, clock: FakeClock) -> None:
    board.write(Proof(9, clock.monotonic() + 1000))

    assert Prover(clock, board, nobody).latest().seq == 0


def test_an_older_record_does_not_replace_a_younger_proof(board: Board, clock: FakeClock) -> None:
    prover = Prover(clock, board, nobody)
    prover.note(Proof(5, clock.monotonic()))
    for seq in (4, 6):
        board.write(Proof(seq, clock.monotonic() - 10))
        assert prover.latest().seq == 5
    board.write(Proof(4, clock.monotonic()))
    assert prover.latest().seq == 5, "nor one that says less"


def test_an_older_proof_does_not_replace_a_younger_one(board: Board, clock: FakeClock) -> None:
    prover = Prover(clock, board, nobody)
    now = clock.monotonic()
    prover.note(Proof(5, now))
    prover.note(Proof(6, now - 1))

    assert prover.latest() == Proof(5, now)
    assert board.read() == Proof(5, now)


def test_the_board_is_asked_where_ones_own_proof_is_too_old(board: Board, clock: FakeClock) -> None:
    prover = Prover(clock, board, nobody)
    own, others = (Proof(seq, clock.monotonic() - ago) for seq, ago in ((5, 2), (6, 1)))
    prover.note(own)
    board.write(others)

    assert prover.latest(own.began) == own
    assert prover.latest(others.began) == others


def test_a_younger_proof_of_another_process_stays_on_the_board(
    board: Board, clock: FakeClock
) -> None:
    now = clock.monotonic()
    prover = Prover(clock, board, nobody)
    prover.note(Proof(4, now - 9))
    board.write(Proof(6, now - 1))  # while this one's probe was under way
    prover.note(Proof(5, now - 2))

    assert board.read() == Proof(6, now - 1)
    prover.note(Proof(7, now))
    assert board.read() == Proof(7, now)


def test_a_proof_is_dated_from_before_its_probe(board: Board, clock: FakeClock) -> None:
    def slow() -> int:
        clock.pass_monotonic(3)
        return 4

    prover = Prover(clock, board, slow)
    began = clock.monotonic()
    proof = prover.prove(began, began + 10)

    assert began <= proof.began < began + 1


def test_a_board_that_cannot_be_written_hinders_nobody(
    board: Board, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a hint for other processes; a full disk says nothing of what was proven."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    prover = Prover(clock, board, lambda: 4)
    now = clock.monotonic()
    callers = [Caller(lambda: prover.prove(now, now + 5)) for _ in range(4)]

    assert {caller.value().seq for caller in callers} == {4}
    prover.note(Proof(5, clock.monotonic()))
    assert prover.latest().seq == 5


def failing(times: int) -> Callable[[], int]:
    left = [times]

    def probe() -> int:
        left[0] -= 1
        if left[0] >= 0:
            raise Uncertain("500")
        return 3

    return probe


def test_a_probe_that_fails_proves_nothing_and_hinders_nobody(
    board: Board, clock: FakeClock
) -> None:
    prover = Prover(clock, board, failing(1))
    now = clock.monotonic()
    with pytest.raises(Uncertain):
        prover.prove(now, now + 5)

    assert board.read() is None
    assert prover.prove(now, now + 5).seq == 3


def test_when_the_leader_fails_one_of_those_who_wait_leads(board: Board, clock: FakeClock) -> None:
    prover = Prover(clock, board, failing(2))
    now = clock.monotonic()
    outcomes = [
        caller.outcome()
        for caller in [Caller(lambda: prover.prove(now, now + 5)) for _ in range(8)]
    ]

    failed = [outcome for outcome in outcomes if isinstance(outcome, Uncertain)]
    proven = [outcome for outcome in outcomes if isinstance(outcome, Proof)]
    assert len(failed) == 2
    assert {proof.seq for proof in proven} == {3}
