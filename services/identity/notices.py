"""What identity tells people of its events; `shared.notices.mapping` says by which rules.

Messages go to numbers that no other service and no journal may read. So what is written down for
one is sealed: the recipient is the sign-in or delegation and what was sealed for it, the words have
a place for the code, if there is one. `Unsealing` puts both in, in the moment of sending.
"""

import orjson

from services.identity.domain.sealing import Sealing
from shared.clock import Clock
from shared.language import Words
from shared.notices.mapping import Happening, Notice, Notices
from shared.notices.message import Message, Notifier, Unsent

_CODE = "######"

_TEXT = Words(
    f"{_CODE} 是您的登录验证码，5分钟内有效。切勿告诉任何人。",
    f"{_CODE} is your Smart Gansu code, good for 5 minutes. Tell it to nobody.",
)


def _code_made(happening: Happening) -> Notice:
    sign_in = happening.data["sign_in"]
    sealed = happening.document("sign_ins", sign_in)["sealed"]
    return Notice(f"{sign_in}.{sealed}", _TEXT)


_MATTERS = {
    "orders": Words("订单", "orders"),
    "tickets": Words("门票", "tickets"),
    "appointments": Words("预约", "bookings"),
}
_AGENTS = {
    "guardian": Words("监护人", "a guardian"),
    "station_agent": Words("代办员", "a station agent"),
}


def _delegation_asked(happening: Happening) -> Notice:
    """Who asks, for what and how long stand in front of the code that consents."""
    delegation = happening.data["delegation"]
    body = happening.document("delegations", delegation)
    who, days = _AGENTS[body["kind"]], body["days"]
    matters = dict.fromkeys(name.partition(":")[0] for name in body["scopes"])
    zh = "、".join(_MATTERS[name].zh for name in matters)
    en = ", ".join(_MATTERS[name].en for name in matters)
    text = Words(
        f"{who.zh}申请代您办理{zh}（{days}天）。同意才可告知对方{_CODE}，可随时撤销。",
        f"Smart Gansu: {who.en} asks to act for you for {days} days: {en}. Tell the code {_CODE}"
        " only if you agree.",
    )
    return Notice(f"{delegation}.{body['sealed']}", text)


_GUARDIAN = Words(
    "您的孩子新登记了一位监护人，可在“智慧甘肃”查看；如有异议，请尽快向政务服务窗口提出。",
    "Smart Gansu: one more adult may now act for a child of yours. See who in the app; if that is"
    " wrong, tell a public service desk soon.",
)


def _guardianship_begun(happening: Happening) -> Notice:
    """One of those who were guardians before, whose number is nowhere but in the event."""
    return Notice(f"{happening.data['delegation']}.{happening.data['sealed']}", _GUARDIAN)


NOTICES: Notices = {
    "code.made": _code_made,
    "delegation.code_made": _delegation_asked,
    "guardianship.begun": _guardianship_begun,
}

_COLLECTIONS = {
    "code.made": "sign_ins",
    "delegation.code_made": "delegations",
    "guardianship.begun": "delegations",
}


class Unsealing:
    """A notifier that puts number and code into messages, and hands them to another."""

    def __init__(self, sealing: Sealing, clock: Clock, notifier: Notifier) -> None:
        self._sealing = sealing
        self._clock = clock
        self._notifier = notifier

    def send(self, message: Message) -> None:
        """Raises Unsent, for good where it would come too late."""
        waiting, _, sealed = message.recipient.partition(".")
        try:
            opened = self._sealing.unseal(_COLLECTIONS[message.kind], waiting, sealed)
        except ValueError as error:
            raise Unsent("it was sealed with another key") from error
        number, code, good_ms = orjson.loads(opened)
        if self._clock.now_ms() >= good_ms:
            raise Unsent("it would come too late", for_good=True)
        zh, en = (text.replace(_CODE, code) for text in message.text)
        self._notifier.send(Message(message.id, number, message.kind, Words(zh, en)))
