"""What people are told, and what nobody is told.

Each service is used as people use it, and its whole journal is made into messages: whatever any
document in it says, other than when, must not stand in one.
"""

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest

from infra.services import SERVICES
from services.identity.domain.delegations import SCOPES
from shared.auth.subjects import service_subject
from shared.notices.mapping import Notices, messages_of, moment, silent
from shared.notices.message import Message
from shared.storage.catalogue import Catalogue
from shared.storage.entry import Entry, decode
from shared.times import DAY_MS
from tests.architecture.rules import ROOT
from tests.support.bureau import Bureau
from tests.support.clinic import Clinic
from tests.support.clock import NEW_YEAR_MS
from tests.support.gate import Gate
from tests.support.ledger import entries_of
from tests.support.people import number_of, own_name, plant
from tests.support.served import Served, made
from tests.support.shop import Shop
from tests.support.tokens import SUBJECT_KEY

SMS_CHARACTERS_ZH = 70 - len("【智慧甘肃】")
"""One SMS in UCS-2 (3GPP TS 23.038), less the gateway's signature."""

SMS_CHARACTERS_EN = 160 - len("[Smart Gansu]")

FORBIDDEN = re.compile(
    "科|医|诊|病|药|患|号源|挂号|检查|大夫|专家|姓名|身份证|手机|元"
    "|doctor|department|clinic|hospital|patient|health|medic|illness|diagnos|visit|treat|surger"
    "|name|passport|yuan|cny|_",
    re.IGNORECASE,
)

ORDINARY = {"ticket"}
"""An id of the tests' own that is a word as well."""

NO_CONTENT = {"state", "use", "did", "kind"}
"""Members of documents whose values are this program's own words."""


def notices_of(service: str) -> tuple[Notices, Catalogue]:
    notices: Notices = importlib.import_module(f"services.{service}.notices").NOTICES
    catalogue: Catalogue = importlib.import_module(f"services.{service}.domain").CATALOGUE
    return notices, catalogue


# What happens


def trade(shop: Shop) -> None:
    lily = shop.lily(on_hand=10)
    order = shop.order(lily, 2)
    shop.order(lily, 1, by="citizen-2")
    made(shop.post(f"/v1/orders/{order['id']}/cancellation", by="citizen-1"))
    helped = shop.order(lily, 1, by="citizen-5")
    token = shop.acting("citizen-5")
    made(shop.post(f"/v1/orders/{helped['id']}/cancellation", token=token))
    not_had = shop.order(lily, 1, by="citizen-6")
    path = f"/v1/stores/{not_had['parts'][0]['store_id']}/orders/{not_had['id']}/refusal"
    made(shop.post(path, {"reason": "out_of_stock"}, by="merchant-1"))


def see_the_sights(gate: Gate) -> None:
    early, late, forgotten = (gate.open_session() for _ in range(3))
    gate.confirmed(early, 2)
    gate.confirmed(late, 3, by="citizen-2")
    made(gate.hold(forgotten, 1, by="citizen-7"))
    own = gate.confirmed(early, by="citizen-4")
    made(gate.act(own, "cancellation", by="citizen-4"))
    helped = gate.confirmed(early, by="citizen-5")
    made(gate.act(helped, "cancellation", token=gate.acting("citizen-5")))
    family = gate.confirmed(late, 2, by="citizen-6")
    gate.to_start(late)
    made(gate.hold(late, 1, by="citizen-3"))
    made(gate.admit(family["tickets"][0]["id"]))
    for session in (late, forgotten):
        made(gate.post(f"/v1/sessions/{session}/closure", by="scenic-1"))


def see_the_doctor(clinic: Clinic) -> None:
    clinic.open_desks()
    moved, stopped = clinic.session(), clinic.session()
    clinic.booked(moved, 3)
    own = clinic.booked(moved, 1, by="citizen-2")
    made(clinic.cancel(own, by="citizen-2"))
    helped = clinic.booked(moved, 2, by="citizen-5")
    made(clinic.cancel(helped, token=clinic.acting("citizen-5", kind="guardian")))
    clinic.booked(stopped, 0, by="citizen-3")
    there = clinic.booked(moved, 3, by="citizen-6")
    clinic.clock.pass_wall(hours=4 * 24 - 1)
    made(clinic.at_desk("check-in", there))
    answer = clinic.move(moved, 3, "11:15")
    assert answer.status_code == 200, answer.text
    made(clinic.post(f"/v1/sessions/{stopped['id']}/stop", by="hospital-1"))


def sign_in(bureau: Bureau) -> None:
    bureau.sign_in("13800000001")
    bureau.ask_code("13800000002")
    agent = plant(bureau, 3, "station_agent")
    token = bureau.issuer.token(agent, roles=["station_agent"])
    asked = {"kind": "station_agent", "phone": "13800000004", "scopes": list(SCOPES), "days": 90}
    made(bureau.post("/v1/delegations", asked, token=token))
    child = {"name": "李小花", "number": number_of(date(2020, 5, 5))}
    for place in (11, 12):
        parent = bureau.issuer.token(plant(bureau, place, "citizen"), roles=["citizen"])
        own = own_name(place, "王秀英", date(1989, 2, 2), place)
        made(bureau.post("/v1/account/name", own, token=parent))
        made(bureau.post("/v1/children", child, token=parent))


@dataclass(frozen=True)
class Story:
    """How a service is opened, what happens there, and a text that its documents then hold. `whom`
    they name; identity's name nobody by a subject.
    """

    opened: type[Served]
    happen: Callable[[Any], None]
    kept: str
    whom: str | None = "citizen-1"


STORIES = {
    "commerce": Story(Shop, trade, "兰州百合"),
    "tourism": Story(Gate, see_the_sights, "mogao"),
    "health": Story(Clinic, see_the_doctor, "内科"),
    "identity": Story(Bureau, sign_in, "snow-logistics", whom=None),
}


@dataclass(frozen=True)
class Told:
    entries: list[Entry]
    messages: list[Message]

    def to(self, account: str) -> list[tuple[str, str]]:
        """Kinds and Chinese words of what an account was told, in order."""
        subject = service_subject(account, SUBJECT_KEY)
        return [(each.kind, each.text.zh) for each in self.messages if each.recipient == subject]

    def secrets(self) -> set[str]:
        """Every text that stands in a document, and every key."""
        writes = [
            write
            for entry in self.entries
            for write in entry.writes
            if write.collection != "idempotency" and write.body is not None
        ]
        keys = {part for write in writes for part in (write.key, *write.key.split("."))}
        return keys | {text for write in writes for text in texts(orjson.loads(write.body or b""))}


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member, each in value.items():
            if member not in NO_CONTENT:
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@cache
def told(service: str) -> Told:
    story = STORIES[service]
    with TemporaryDirectory() as folder, story.opened(Path(folder)) as served:  # type: ignore[call-arg]
        story.happen(served)
        stored = entries_of(served.store, f"{service}/")
        entries = [decode(content, seq) for seq, content in enumerate(stored, 1)]
    notices, catalogue = notices_of(service)
    return Told(entries, [m for entry in entries for m in messages_of(entry, notices, catalogue)])


# What is said


def test_every_service_has_a_story() -> None:
    assert STORIES.keys() == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_message_has_its_events_id_and_kind(service: str) -> None:
    events = {event.id: event.kind for entry in told(service).entries for event in entry.events}
    assert all(events[message.id] == message.kind for message in told(service).messages)
    assert len({message.id for message in told(service).messages}) == len(told(service).messages)


def test_a_citizen_is_told_of_each_order() -> None:
    words = ("order.placed", "您的订单已提交，详情请见“智慧甘肃”。")
    assert told("commerce").to("citizen-1") == told("commerce").to("citizen-2") == [words]
    assert len(told("commerce").messages) == 6


def test_a_citizen_is_told_of_what_a_store_refused() -> None:
    assert told("commerce").to("citizen-6")[1:] == [
        ("order.refused", "很抱歉，您的订单中有一家店铺不能交货，详情请见“智慧甘肃”。")
    ]


def test_visitors_are_told_of_their_tickets_and_when_a_session_is_cancelled() -> None:
    assert told("tourism").to("citizen-1") == [
        ("booking.confirmed", "您已订好1月2日10:01入场的门票2张，凭证请见“智慧甘肃”。")
    ]
    cancelled = "很抱歉，1月2日10:02的场次已取消，您的预订随之取消，详情请见“智慧甘肃”。"
    assert told("tourism").to("citizen-2") == [
        ("booking.confirmed", "您已订好1月2日10:02入场的门票3张，凭证请见“智慧甘肃”。"),
        ("booking.cancelled", cancelled),
    ]
    assert told("tourism").to("citizen-3") == [("booking.cancelled", cancelled)]


def test_whose_companions_are_inside_is_told_of_the_other_tickets() -> None:
    assert told("tourism").to("citizen-6")[1:] == [
        (
            "booking.partly_cancelled",
            "很抱歉，1月2日10:02的场次已取消，您未使用的门票随之作废，详情请见“智慧甘肃”。",
        )
    ]


def test_nobody_is_told_of_a_hold_that_had_expired_before_its_session_was_cancelled() -> None:
    assert told("tourism").to("citizen-7") == []


def test_who_cancels_a_booking_need_not_be_told() -> None:
    assert [kind for kind, _ in told("tourism").to("citizen-4")] == ["booking.confirmed"]


def test_one_is_told_of_what_others_cancelled() -> None:
    assert told("commerce").to("citizen-5")[1:] == [
        ("order.cancelled", "您的订单已由代办人取消，详情请见“智慧甘肃”。")
    ]
    assert told("tourism").to("citizen-5")[1:] == [
        (
            "booking.cancelled",
            "您1月2日10:01入场的预订已由代办人取消，详情请见“智慧甘肃”。",
        )
    ]
    assert told("health").to("citizen-5")[1:] == [
        (
            "appointment.cancelled",
            "您1月5日09:00的预约已由代办人取消，详情请见“智慧甘肃”。",
        )
    ]


def test_patients_are_told_when_and_nothing_else() -> None:
    assert told("health").to("citizen-1") == [
        ("appointment.booked", "您已预约1月5日09:30，详情请见“智慧甘肃”。"),
        (
            "appointment.moved",
            "您的预约时间已改为1月5日11:15，如有不便可在此前取消，详情请见“智慧甘肃”。",
        ),
    ]
    assert told("health").to("citizen-6")[1:] == [
        ("appointment.moved", "您的预约时间已改为1月5日11:15，详情请见“智慧甘肃”。")
    ]
    assert [kind for kind, _ in told("health").to("citizen-2")] == ["appointment.booked"]
    assert told("health").to("citizen-3")[1] == (
        "appointment.called_off",
        "很抱歉，您1月5日08:00的预约已被取消，详情请见“智慧甘肃”。",
    )


@pytest.mark.parametrize("service", SERVICES)
def test_everything_is_said_in_english_too(service: str) -> None:
    for message in told(service).messages:
        assert message.text.en.isascii()
        assert "Smart Gansu" in message.text.en
        digits = re.compile(r"\d\d:\d\d")
        assert digits.findall(message.text.en) == digits.findall(message.text.zh)


def test_a_moment_is_gansus_own() -> None:
    assert moment(NEW_YEAR_MS - DAY_MS) == ("12月31日08:00", "31 December at 08:00")


# What is not said


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_that_a_document_says_stands_in_a_message(service: str) -> None:
    secrets = {text for text in told(service).secrets() if len(text) > 1} - ORDINARY
    whom = STORIES[service].whom
    assert whom is None or service_subject(whom, SUBJECT_KEY) in secrets
    assert STORIES[service].kept in str(secrets)
    for message in told(service).messages:
        said = f"{message.text.zh} {message.text.en}"
        assert [text for text in secrets if text in said] == []


@pytest.mark.parametrize("service", SERVICES)
def test_no_word_of_an_illness_a_person_or_a_price(service: str) -> None:
    for message in told(service).messages:
        assert FORBIDDEN.findall(f"{message.text.zh} {message.text.en}") == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_message_is_one_sms(service: str) -> None:
    for message in told(service).messages:
        assert len(message.text.zh) <= SMS_CHARACTERS_ZH
        assert len(message.text.en) <= SMS_CHARACTERS_EN


# That nothing is forgotten

KIND = re.compile(r"[a-z]+\.[a-z_]+")


def emitted(service: str) -> set[str]:
    """The kinds of events that a service's actions have: in them nothing else looks so."""
    paths = [*(ROOT / "services" / service).glob("actions/*.py")]
    paths += (ROOT / "services" / service).glob("actions.py")
    constants = {
        node.value
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in constants if KIND.fullmatch(text)}


@pytest.mark.parametrize("service", SERVICES)
def test_every_event_is_told_or_silent_by_decision(service: str) -> None:
    notices, _ = notices_of(service)
    assert notices.keys() == emitted(service)
    happened = {event.kind for entry in told(service).entries for event in entry.events}
    assert happened <= notices.keys()
    said = {message.kind for message in told(service).messages}
    assert said == {kind for kind, tell in notices.items() if tell is not silent}


def test_only_actions_emit_and_by_kinds_that_can_be_found() -> None:
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".emit"):
                assert "actions" in str(path.relative_to(ROOT))
                assert isinstance(node.args[0], ast.Constant | ast.Name), ast.unparse(node)
