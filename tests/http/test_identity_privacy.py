"""What reaches identity's journal, outbox and log: no number, no code, no token, no secret."""

import hashlib
import re
from io import StringIO
from pathlib import Path

import pytest

from services.identity.domain import CATALOGUE
from services.identity.domain.sealing import Sealing
from services.identity.domain.secrets import Secrets, sealing_of
from services.identity.notices import NOTICES, Unsealing
from shared.notices import outbox
from shared.notices.console import Console
from shared.notices.feed import Feed
from shared.notices.message import Message, Unsent
from shared.notices.sender import Sender
from shared.storage.database import JournalDatabase
from shared.storage.journal import Journal
from tests.support.bureau import FIRM, Bureau, Phones
from tests.support.clock import FakeClock
from tests.support.served import json_of, made

NUMBER = "13800138000"


def test_nothing_of_a_person_or_a_token_is_kept(tmp_path: Path) -> None:
    with Bureau(tmp_path / "service") as bureau:
        page = bureau.ask_code(NUMBER)
        code = bureau.code_sent()
        bureau.give_code(page, "999999" if code != "999999" else "888888")
        held = [code]
        answer = bureau.give_code(page, code)
        granted = answer.headers["Location"].partition("code=")[2].partition("&")[0]
        tokens = json_of(bureau.redeem(granted))
        newer = json_of(bureau.refresh(tokens["refresh_token"]))
        secret = made(bureau.post(f"/v1/clients/{FIRM}/secrets", by="operator-1"))["secret"]
        firm = json_of(bureau.by_secret(FIRM, secret))
        bureau.form("/revoke", {"token": newer["refresh_token"], "client_id": "gansu-app"})
        held += [granted, secret]
        held += [each[name] for each in (tokens, newer, firm) for name in each if "token" in name]
        held = [text for text in held if text != "Bearer"]

        told = StringIO()
        notify(bureau, tmp_path / "outbox", Unsealing(bureau.secrets.sealing, bureau.clock,
                                                      Console(told)))  # fmt: skip
        assert f"to +86{NUMBER}: {code} 是您的登录验证码" in told.getvalue()

        everything = bureau.stored() + b"".join(bureau.log)
        assert b"code.made" in everything
        assert b'"grants"' in everything
        signatures = [text.rpartition(".")[2] for text in held]
        for text in {*held, *signatures, NUMBER, "a state of the app"}:
            assert text.encode() not in everything, text
        for digest in (hashlib.sha256, hashlib.sha1, hashlib.md5):
            for number in (NUMBER, f"+86{NUMBER}"):
                assert digest(number.encode()).hexdigest().encode() not in everything


def notify(bureau: Bureau, directory: Path, notifier: Unsealing) -> None:
    """Let identity's notifier follow its journal and send what there is."""
    database = JournalDatabase(
        bureau.store,
        outbox.CATALOGUE,
        prefix="identity-notices/",
        directory=directory,
        clock=bureau.clock,
    )
    journal = Journal(bureau.store, "identity/", bureau.clock)
    feed = Feed(journal, database, NOTICES, CATALOGUE, bureau.clock)
    while feed.step():
        pass
    Sender(database, notifier, bureau.clock).step()
    bureau.clock.hurry()
    database.close()
    bureau.clock.rest()


def test_a_private_key_is_sealed(tmp_path: Path) -> None:
    with Bureau(tmp_path) as bureau:
        bureau.sign_in(NUMBER)
        assert b'"d":' not in bureau.stored()
        assert b'"kty":"EC"' in bureau.stored()


def test_what_was_sealed_opens_in_its_own_place_under_its_own_key(tmp_path: Path) -> None:
    clock = FakeClock()
    sealing, other = Sealing(b"k" * 32, clock.random), Sealing(b"o" * 32, clock.random)
    sealed = sealing.seal("sign_ins", "one", b"+8613800138000")
    assert sealing.unseal("sign_ins", "one", sealed) == b"+8613800138000"
    assert sealed != sealing.seal("sign_ins", "one", b"+8613800138000")
    for place in (("sign_ins", "two"), ("accounts", "one"), ("sign_insone", "")):
        with pytest.raises(ValueError, match="not sealed here"):
            sealing.unseal(*place, sealed)
    begun_otherwise = ("B" if sealed.startswith("A") else "A") + sealed[1:]
    for text in (sealed[:-4], begun_otherwise, "", "x", "é", sealed + "A"):
        with pytest.raises(ValueError, match="not sealed here"):
            sealing.unseal("sign_ins", "one", text)
    with pytest.raises(ValueError, match="not sealed here"):
        other.unseal("sign_ins", "one", sealed)


def test_a_code_that_expired_on_its_way_is_not_sent(tmp_path: Path) -> None:
    with Bureau(tmp_path) as bureau:
        bureau.ask_code(NUMBER)
        bureau.clock.pass_wall(seconds=300)
        [message] = bureau.outgoing()
        phones = Phones()
        with pytest.raises(Unsent) as unsent:
            Unsealing(bureau.secrets.sealing, bureau.clock, phones).send(message)
        assert unsent.value.for_good
        assert phones.got == []


def test_another_key_sends_nothing_and_loses_nothing() -> None:
    clock, phones = FakeClock(), Phones()
    theirs = sealing_of(b"another sealing key, 32 bytes long!", clock.random)
    sealed = theirs.seal("sign_ins", "sign_in_1", b"[]")
    ours = Unsealing(sealing_of(b"x" * 32, clock.random), clock, phones)
    with pytest.raises(Unsent) as unsent:
        ours.send(Message("event_1", f"sign_in_1.{sealed}", "code.made", ("", "")))  # type: ignore[arg-type]
    assert not unsent.value.for_good
    assert phones.got == []


@pytest.mark.parametrize("purpose", ["phone", "address"])
def test_a_digest_needs_the_key(purpose: str) -> None:
    def made_with(key: bytes) -> str:
        secrets = Secrets(key, b"t" * 32, b"s" * 32, FakeClock().random)
        return str(getattr(secrets, purpose)("+8613800138000"))

    assert made_with(b"a" * 32) == made_with(b"a" * 32) != made_with(b"b" * 32)
    assert re.fullmatch(r"[a-z]{3}_[A-Za-z0-9_-]{43}", made_with(b"a" * 32))
