"""The turnstile: first come first served, freed by death, and only a hint."""

import threading
from pathlib import Path

import pytest

from shared.storage import turnstile
from shared.storage.turnstile import Turnstile
from tests.storage.world import Caller
from tests.support.waiting import wait_until


def blocked() -> int:
    """How many threads stand in line."""
    return sum(thread.name == "turnstile" for thread in threading.enumerate())


def test_who_just_had_a_turn_stands_behind_who_waits(tmp_path: Path) -> None:
    greedy, patient = Turnstile(tmp_path), Turnstile(tmp_path)
    before = blocked()
    order: list[str] = []

    def take(entrance: Turnstile, name: str) -> None:
        with entrance.turn() as got:
            assert got
            order.append(name)

    for _ in range(20):
        with greedy.turn():
            waiting = Caller(lambda: take(patient, "patient"))
            wait_until(lambda: blocked() == before + 1, "the other stands in line")
        take(greedy, "greedy")
        waiting.value()
    assert order == ["patient", "greedy"] * 20


def test_only_one_is_through_at_a_time(tmp_path: Path) -> None:
    inside: list[str] = []

    def run(name: str) -> None:
        entrance = Turnstile(tmp_path)
        for _ in range(30):
            with entrance.turn() as got:
                assert got
                assert inside == []
                inside.append(name)
                threading.Event().wait(0.0005)
                inside.remove(name)

    for caller in [Caller(lambda n=name: run(n)) for name in "ab"]:  # type: ignore[misc]
        caller.value()


def test_a_wait_that_was_given_up_is_taken_up_again_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 0.05)
    holder, other = Turnstile(tmp_path), Turnstile(tmp_path)
    before = blocked()
    with holder.turn() as got:
        assert got
        for _ in range(4):
            with other.turn() as without:
                assert not without
        assert blocked() == before + 1
    wait_until(lambda: blocked() == before, "what it was given in the end, it gave back")

    with holder.turn() as got:
        assert got
    with other.turn() as got:
        assert got


def test_a_given_up_wait_that_is_served_later_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 0.05)
    holder, other, third = Turnstile(tmp_path), Turnstile(tmp_path), Turnstile(tmp_path)
    before = blocked()
    with holder.turn(), other.turn() as without:
        assert not without
    wait_until(lambda: blocked() == before, "its turn came and went")

    with third.turn() as got:
        assert got


def test_an_exception_inside_a_turn_ends_it(tmp_path: Path) -> None:
    entrance, other = Turnstile(tmp_path), Turnstile(tmp_path)
    with pytest.raises(ZeroDivisionError), entrance.turn():
        raise ZeroDivisionError
    with other.turn() as got:
        assert got


def test_without_its_folder_it_lets_everybody_through(tmp_path: Path) -> None:
    with Turnstile(tmp_path / "gone").turn() as got:
        assert not got


def open_files() -> int:
    """How many descriptors this process holds."""
    return len(list(Path("/dev/fd").iterdir()))


def test_who_can_start_no_thread_to_wait_in_goes_on_and_leaves_nothing_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other, third = Turnstile(tmp_path), Turnstile(tmp_path), Turnstile(tmp_path)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with holder.turn():
        before = open_files()
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with other.turn() as got:
            assert not got
        monkeypatch.undo()
        assert open_files() == before

    for entrance in (third, other):
        with entrance.turn() as got:
            assert got


def test_who_can_open_but_one_of_the_two_locks_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "main.lock").mkdir()
    entrance = Turnstile(tmp_path)
    before = open_files()
    with entrance.turn() as got:
        assert not got
    assert open_files() == before
