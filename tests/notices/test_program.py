"""The notifier's process: its settings, its loop, its console."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from services.commerce.domain import CATALOGUE
from services.commerce.notices import NOTICES
from shared.errors import BUSY, Refused
from shared.language import Words
from shared.notices import program
from shared.notices.console import Console
from shared.notices.feed import Feed
from shared.notices.mapping import CannotTell
from shared.notices.message import Message
from shared.notices.program import EVERY_SECONDS, IDLE_SECONDS, TROUBLE_SECONDS
from shared.notices.sender import LOOK_SECONDS, Sender
from shared.notices.telemetry import Telemetry
from shared.settings import NotifierSettings, SettingsError
from shared.storage.objects import Uncertain

PRODUCTION = {
    "GANSU_STORE_BUCKET": "gansu-state",
    "GANSU_NOTICES_URL": "https://sms.gansu.example/v1/messages",
    "GANSU_NOTICES_KEY": "a-key",
}


# Settings


def test_development_talks_to_the_console() -> None:
    assert NotifierSettings.from_environ({"GANSU_ENV": "development"}).notices == "console"


def test_production_talks_to_a_gateway() -> None:
    settings = NotifierSettings.from_environ(PRODUCTION)
    assert settings.notices == "http"
    assert "a-key" not in repr(settings)


def test_the_console_is_refused_outside_development() -> None:
    with pytest.raises(SettingsError, match="GANSU_NOTICES is http outside development"):
        NotifierSettings.from_environ({**PRODUCTION, "GANSU_NOTICES": "console"})


@pytest.mark.parametrize("missing", ["GANSU_NOTICES_URL", "GANSU_NOTICES_KEY"])
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_gateway_has_to_be_named(missing: str, environment: str) -> None:
    given = {**PRODUCTION, "GANSU_ENV": environment, "GANSU_NOTICES": "http", missing: ""}
    with pytest.raises(SettingsError, match=missing):
        NotifierSettings.from_environ(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GANSU_NOTICES", "smoke"),
        ("GANSU_NOTICES_URL", "sms.gansu.example"),
        ("GANSU_NOTICES_URL", "ftp://sms.gansu.example"),
        ("GANSU_NOTICES_KEY", "two words"),
        ("GANSU_NOTICES_KEY", "line\r\nbreak"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} "):
        NotifierSettings.from_environ({**PRODUCTION, name: value})


def test_settings_that_cannot_be_used_end_the_program(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GANSU_ENV", "production")
    monkeypatch.setenv("GANSU_NOTICES", "console")
    monkeypatch.setenv("GANSU_STORE_BUCKET", "gansu-state")
    assert program.main("commerce", CATALOGUE, NOTICES) == 2
    assert "GANSU_NOTICES" in caplog.text


# The console


def test_the_console_shows_each_message_on_a_line_and_says_what_it_is() -> None:
    out = io.StringIO()
    console = Console(out)
    for number in (1, 2):
        words = Words("您的订单已提交", "Placed")
        console.send(Message(f"event_{number}", "subject", "order.placed", words))
    head, *lines = out.getvalue().splitlines()
    assert "development" in head
    assert lines == [
        f"order.placed event_{number} to subject: 您的订单已提交 / Placed" for number in (1, 2)
    ]


# The loop


class Stop(threading.Event):
    """Is set after so many waits, and remembers them."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._left = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        if len(self.waits) >= self._left:
            self.set()
        return self.is_set()


class Steps:
    """A feed or a sender whose steps do what they are told; the last one goes on and on."""

    def __init__(self, *steps: float | Exception) -> None:
        self._steps = self._played(steps)
        self.woken = 0

    def _played(self, steps: tuple[float | Exception, ...]) -> Iterator[float | Exception]:
        yield from steps
        while True:
            yield steps[-1]

    def step(self) -> float:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step

    def wake(self) -> None:
        self.woken += 1


def waits(count: int, feed: Steps, sender: Steps) -> list[float]:
    stop = Stop(count)
    program.run(cast(Feed, feed), cast(Sender, sender), stop)
    return [round(wait, 2) for wait in stop.waits]


def test_an_idle_loop_looks_about_once_a_second_and_then_less_often() -> None:
    seen = waits(20, Steps(0), Steps(LOOK_SECONDS))
    assert seen[0] >= EVERY_SECONDS
    assert seen == sorted(seen)
    assert seen[-1] == IDLE_SECONDS


def test_while_there_are_entries_it_reads_on_and_wakes_the_sender() -> None:
    sender = Steps(LOOK_SECONDS)
    seen = waits(5, Steps(32, 32, 3, 0), sender)
    assert seen[:3] == [0, 0, 0]
    assert 0 < seen[3] < seen[4] < 2
    assert sender.woken == 3


def test_it_is_there_when_a_message_is_due() -> None:
    assert waits(4, Steps(0), Steps(0, 0.25, 0, LOOK_SECONDS))[:3] == [0, 0.25, 0]


@pytest.mark.parametrize(
    "error",
    [Uncertain("gone"), Refused(BUSY), CannotTell("entry 7"), RuntimeError("a bug"), OSError(28)],
    ids=repr,
)
@pytest.mark.parametrize("side", ["feed", "sender"])
def test_what_fails_is_logged_and_tried_again_ever_more_slowly(
    error: Exception, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    feed, sender = Steps(0), Steps(LOOK_SECONDS)
    broken = Steps(*[error] * 8, 0 if side == "feed" else LOOK_SECONDS)
    seen = waits(9, broken if side == "feed" else feed, broken if side == "sender" else sender)
    assert seen[:8] == [2, 4, 8, 16, TROUBLE_SECONDS, *[TROUBLE_SECONDS] * 3]
    assert seen[8] <= IDLE_SECONDS
    assert caplog.text.count("held up") == 8


def test_a_feed_that_is_stuck_does_not_hold_up_what_stands_in_the_outbox() -> None:
    sent: list[int] = []

    class Sending(Steps):
        def step(self) -> float:
            sent.append(1)
            return super().step()

    waits(4, Steps(CannotTell("entry 7")), Sending(0))
    assert len(sent) == 4


class Telling:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, outcome: str) -> None:
        self.told.append(outcome)

    def level(self) -> None:
        self.told.append("level")


@pytest.mark.parametrize(
    ("feed", "sender", "levels"),
    [
        (Steps(3, 0), Steps(LOOK_SECONDS), 3),
        (Steps(CannotTell("entry 7"), 0), Steps(LOOK_SECONDS), 3),
        (Steps(0), Steps(Uncertain("gone")), 0),
        (Steps(32), Steps(LOOK_SECONDS), 0),
    ],
    ids=["level behind three", "once a journal can be told", "no store", "never at the end"],
)
def test_it_says_when_it_is_level(feed: Steps, sender: Steps, levels: int) -> None:
    telling = Telling()
    heard = cast(Telemetry, telling)
    program.run(cast(Feed, feed), cast(Sender, sender), Stop(4), telemetry=heard)
    assert telling.told == ["level"] * levels


def test_it_ends_when_it_is_told_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stop = Stop(1)
    stop.set()
    never: Callable[[], float] = pytest.fail
    feed = Steps(0)
    feed.step = never  # type: ignore[method-assign]
    program.run(cast(Feed, feed), cast(Sender, feed), stop)
    assert stop.waits == []
