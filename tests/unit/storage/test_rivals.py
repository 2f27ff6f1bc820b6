"""Whose turn it is among containers, by the entries that they wrote."""

from itertools import product

from shared.storage.rivals import LATELY_SECONDS, Rivals, container_of
from tests.support.clock import FakeClock

NAMES = ("east", "west", "north")


def seen(own: str, writers: list[str]) -> Rivals:
    rivals = Rivals(FakeClock(), own)
    for writer in writers:
        rivals.saw(writer)
    return rivals


def test_who_wrote_longest_ago_goes_first() -> None:
    writers = ["east", "west", "north", "east", "west"]
    assert [seen(name, writers).ahead() for name in NAMES] == [1, 2, 0]


def test_all_that_wrote_lately_come_to_one_order() -> None:
    for writers in product(NAMES, repeat=5):
        told = [seen(name, list(writers)).ahead() for name in set(writers[-2:])]
        assert len(set(told)) == len(told), writers


def test_who_has_not_written_lately_waits_for_nobody() -> None:
    assert seen("north", ["east", "west"] * 8).ahead() == 0


def test_one_that_writes_now_and_then_is_waited_for_only_after_it_wrote() -> None:
    writers = ["west", "east", "west", "west"]
    assert seen("west", writers).ahead() == 1
    assert seen("west", [*writers, "west", "west"]).ahead() == 0


def test_processes_of_a_container_are_one() -> None:
    assert container_of("commerce-1.0a1b") == "commerce-1"
    assert container_of("0a1b") == "0a1b"
    rivals = seen("commerce-1.0a", ["commerce-1.0b", "commerce-1.0a"])
    assert (rivals.write(), rivals.ahead()) == (False, 0)


def test_others_that_fell_silent_are_forgotten() -> None:
    clock = FakeClock()
    rivals = Rivals(clock, "east")
    rivals.saw("west")
    assert rivals.write()
    clock.pass_monotonic(LATELY_SECONDS)
    assert not rivals.write()
