"""A platform begins: its first officers and their app, once, whatever comes between."""

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Barrier

import pytest

from services.identity import bootstrap as command
from services.identity.actions import bootstrap, staff
from services.identity.actions.bootstrap import Invited, Office
from services.identity.actions.staff import Enrolment
from services.identity.bootstrap import OFFICE_SCOPES
from services.identity.command import DONE, REFUSED, UNDONE
from services.identity.domain import CATALOGUE
from services.identity.domain import staff as domain
from services.identity.domain.clients import Registration
from services.identity.domain.scopes import OFFICE as POWERS
from services.identity.domain.scopes import SCOPES
from services.identity.domain.secrets import Secrets
from services.identity.schemas.clients import NewClientSchema
from shared.clock import SystemClock
from shared.errors import Refused
from shared.settings import IdentitySettings, SettingsError
from shared.storage.access import Database
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryBucket, MemoryStore, drop, lose_reply
from tests.support.bureau import FIRM, Bureau, hidden, returned
from tests.support.people import PASSWORD, Member, as_, plant
from tests.support.served import json_of, made, refused

NAMES = ["li.si", "wang.wu", "zhao.liu"]
REDIRECT = "https://office.gansu.example/signed-in"
OFFICE = Office(
    "gansu-office",
    Registration("app", "管理平台", "Administration", [REDIRECT], OFFICE_SCOPES, [], office=True),
)


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    with Bureau(tmp_path) as opened:
        yield opened


def begin(bureau: Bureau, *names: str) -> list[Invited]:
    return bootstrap.begin(bureau.database, bureau.secrets, names or NAMES, OFFICE)


def again(bureau: Bureau) -> list[Invited]:
    return bootstrap.again(bureau.database, bureau.secrets)


def enrol(bureau: Bureau, invited: Invited, name: str = "") -> Member:
    name = name or invited.name
    begun = staff.begin_enrolment(bureau.database, bureau.secrets, invited.invitation)
    code = domain.totp(begun.secret).generate_otp(bureau.clock.now_ms() // 30_000)
    given = Enrolment(invited.invitation, begun.ticket, name, PASSWORD, code)
    done = staff.enrol(bureau.database, bureau.registry(), given)
    bureau.clock.pass_wall(seconds=60)
    return Member(bureau, invited.account, name, begun.secret, done.recovery)


def refusing(slug: str, call: object, *values: object) -> None:
    assert callable(call)
    with pytest.raises(Refused, match=slug):
        call(*values)


def seq(database: Database) -> int:
    committed = database.read(lambda view: view.seq)
    return int(committed.value)


# Beginning


def test_the_first_officers_enrol_sign_in_to_their_app_and_make_an_operator(
    bureau: Bureau,
) -> None:
    first, second, _ = [enrol(bureau, invited) for invited in begin(bureau)]
    page = bureau.authorize(
        client_id=OFFICE.client, redirect_uri=REDIRECT, scope="openid staff:write roles:write"
    )
    asked = bureau.form("/sign-in/staff", {"page": hidden(page)})
    both = {"page": hidden(asked), "name": first.name, "password": PASSWORD, "code": first.code()}
    led = bureau.form("/sign-in/staff", both)
    assert led.status_code == 303, led.text
    code = returned(led)["code"]
    token = json_of(bureau.redeem(code, client_id=OFFICE.client, redirect_uri=REDIRECT))
    mine = token["access_token"]
    operator = made(bureau.post("/v1/staff", {"name": "sun.qi"}, token=mine))["id"]
    path = f"/v1/accounts/{operator}/roles"
    made(bureau.post(path, {"role": "operator", "reason": "first"}, token=mine))
    theirs = as_(bureau, second.account, "security")
    made(bureau.post(f"{path}/operator/agreement", token=theirs))
    token_of_operator = as_(bureau, operator, "operator")
    assert bureau.get("/v1/clients", token=token_of_operator).status_code == 200


def test_it_stands_in_the_journal_as_what_it_is(bureau: Bureau) -> None:
    invited = begin(bureau)
    auditor = as_(bureau, plant(bureau, 1, "auditor"), "auditor")
    changes = json_of(bureau.get("/v1/role-changes", token=auditor))["items"]
    assert {change["account_id"] for change in changes} == {each.account for each in invited}
    said = {(each["by"], each["role"], each["what"], each["second"]) for each in changes}
    assert said == {("bootstrap", "security", "given", None)}
    stored = bureau.stored()
    for each in invited:
        assert each.account.encode() in stored
        assert each.name.encode() not in stored
        assert each.invitation.encode() not in stored
        assert each.invitation.rpartition(".")[2].encode() not in stored


def test_once_there_is_an_officer_nothing_is_done(bureau: Bureau) -> None:
    begin(bureau)
    before = seq(bureau.database)
    refusing("officers-there", begin, bureau)
    refusing("officers-there", begin, bureau, "sun.qi", "zhou.ba")
    assert seq(bureau.database) == before


def test_an_officer_who_came_otherwise_is_one_too(bureau: Bureau) -> None:
    """A sample; also the one who is left after taking the other's role."""
    mine, other = (plant(bureau, place, "citizen", "security") for place in (1, 2))
    refusing("officers-there", begin, bureau)
    refusing("officers-there", again, bureau)
    path = f"/v1/accounts/{other}/roles/security/withdrawal"
    made(bureau.post(path, {"reason": "x"}, token=as_(bureau, mine, "security")))
    refusing("officers-there", begin, bureau)
    refusing("nobody-invited", again, bureau)


def test_who_was_made_an_officer_by_two_is_found(bureau: Bureau) -> None:
    begin(bureau)
    found = bureau.database.read(lambda view: view.find("officers", (), limit=9)).value
    first, second, third = [hit.document.key for hit in found]
    person = plant(bureau, 1, "citizen")
    path = f"/v1/accounts/{person}/roles"
    body = {"role": "security", "reason": "x"}
    made(bureau.post(path, body, token=as_(bureau, first, "security")))
    made(bureau.post(f"{path}/security/agreement", token=as_(bureau, second, "security")))
    taken = f"/v1/accounts/{third}/roles/security/withdrawal"
    made(bureau.post(taken, {"reason": "x"}, token=as_(bureau, first, "security")))
    found = bureau.database.read(lambda view: view.find("officers", (), limit=9)).value
    assert {hit.document.key for hit in found} == {first, second, person}


@pytest.mark.parametrize(
    ("names", "slug"),
    [
        (["li.si"], "invalid"),
        (["li.si", "Li.Si "], "invalid"),
        ([f"name-{place}" for place in range(10)], "invalid"),
        (["li.si", "x"], "invalid"),
    ],
)
def test_officers_are_a_few_and_two_at_least(bureau: Bureau, names: list[str], slug: str) -> None:
    before = seq(bureau.database)
    refusing(slug, begin, bureau, *names)
    assert seq(bureau.database) == before


def test_all_of_it_happens_or_nothing(bureau: Bureau) -> None:
    operator = as_(bureau, plant(bureau, 1, "operator"), "operator")
    made(bureau.post("/v1/staff", {"name": "wang.wu"}, token=operator))
    refusing("staff-name-taken", begin, bureau)
    taken = Office("gansu-app", OFFICE.registration)
    refusing(
        "client-exists", bootstrap.begin, bureau.database, bureau.secrets, ["a.b", "c.d"], taken
    )
    refused(bureau.get("/v1/apps/gansu-office"), 404, "not-found")
    assert len(begin(bureau, "li.si", "zhao.liu")) == 2
    bureau.clock.pass_monotonic(2)
    assert bureau.get("/v1/apps/gansu-office").status_code == 200


@pytest.mark.parametrize("others", [NAMES, ["sun.qi", "zhou.ba"]])
def test_of_two_at_once_one_begins(tmp_path: Path, others: list[str]) -> None:
    bucket, clock = MemoryBucket(), SystemClock()
    secrets = Secrets(b"d" * 32, b"t" * 32, b"s" * 32, clock.random)
    together = Barrier(2)

    def run(place: int, names: list[str]) -> str:
        own = Office(f"office-{place}", OFFICE.registration)
        directory = tmp_path / str(place)
        store = MemoryStore(bucket)
        with closing(
            JournalDatabase(store, CATALOGUE, prefix="", directory=directory, clock=clock)
        ) as database:
            seq(database)
            together.wait()
            try:
                bootstrap.begin(database, secrets, names, own)
            except Refused as refusal:
                return refusal.problem.slug
            finally:
                found = database.read(lambda view: view.find("officers", (), limit=9)).value
                assert len(found) in {2, 3}
            return "begun"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run, range(2), [NAMES, others]))
    assert sorted(outcomes) == ["begun", "officers-there"]


def test_a_lost_reply_of_the_store_is_no_second_beginning(bureau: Bureau) -> None:
    bureau.store.inject("create", lose_reply)
    assert len(begin(bureau)) == 3
    refusing("officers-there", begin, bureau)


# Again


def test_invitations_that_were_lost_or_ended_are_made_anew(bureau: Bureau) -> None:
    refusing("nobody-invited", again, bureau)
    before = {each.account: each for each in begin(bureau)}
    bureau.clock.pass_wall(hours=72)
    for each in before.values():
        refusing("invitation-over", enrol, bureau, each)
    anew = again(bureau)
    assert {each.account for each in anew} == set(before)
    assert enrol(bureau, anew[0], before[anew[0].account].name).sign_in() == anew[0].account
    last = again(bureau)
    assert {each.account for each in last} == {each.account for each in anew[1:]}
    refusing("invitation-over", enrol, bureau, anew[1], before[anew[1].account].name)


def test_once_two_have_enrolled_it_is_theirs_to_invite(bureau: Bureau) -> None:
    first, second, third = begin(bureau)
    enrol(bureau, first)
    enrol(bureau, second)
    before = seq(bureau.database)
    refusing("officers-there", again, bureau)
    assert seq(bureau.database) == before
    assert enrol(bureau, third).sign_in() == third.account


def test_no_officer_who_has_enrolled_is_invited_from_outside(bureau: Bureau) -> None:
    first, second = begin(bureau, "li.si", "wang.wu")
    member = enrol(bureau, first)
    assert [each.account for each in again(bureau)] == [second.account]
    assert member.sign_in() == first.account


# The command


class Terminal(io.StringIO):
    def __init__(self, *, is_one: bool = True) -> None:
        super().__init__()
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one


BEGIN = ["begin", *NAMES, "--app", "gansu-office", "--redirect", REDIRECT]


def run(bureau: Bureau, argv: list[str], terminal: Terminal) -> int:
    loaded = IdentitySettings.from_environ({"GANSU_ENV": "development"})
    return command.main(
        argv, terminal, lambda: loaded, lambda _: (nullcontext(bureau.database), bureau.secrets)
    )


def test_an_invitation_is_shown_once_and_enrols(bureau: Bureau) -> None:
    shown = Terminal()
    assert run(bureau, BEGIN, shown) == DONE
    invitations = re.findall(r"account_[0-9a-f]{32}\.1\.\S{43}", shown.getvalue())
    assert len(invitations) == len(set(invitations)) == 3
    assert all(f"  {name}\n" in shown.getvalue() for name in NAMES)
    assert "/identity/enrolment" in shown.getvalue()
    account, name = invitations[0].partition(".")[0], NAMES[0]
    enrol(bureau, Invited(account, name, invitations[0]))
    anew = Terminal()
    assert run(bureau, ["again"], anew) == DONE
    assert len(re.findall(r"account_[0-9a-f]{32}\.2\.\S{43}", anew.getvalue())) == 2


def test_a_second_time_says_why_not(bureau: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    run(bureau, BEGIN, Terminal())
    shown = Terminal()
    assert run(bureau, BEGIN, shown) == REFUSED
    assert shown.getvalue() == ""
    assert "officers already" in capsys.readouterr().err


def test_what_is_no_terminal_is_shown_no_invitation(
    bureau: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is done: what was stored could not be shown again."""
    before = seq(bureau.database)
    shown = Terminal(is_one=False)
    assert run(bureau, BEGIN, shown) == UNDONE
    assert (shown.getvalue(), seq(bureau.database)) == ("", before)
    assert "terminal" in capsys.readouterr().err


def test_what_is_wrong_is_named(bureau: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bureau, [*BEGIN[:-1], "http://plain.example/"], Terminal()) == REFUSED
    assert "redirect_uris" in capsys.readouterr().err
    assert run(bureau, ["begin", "li.si", *BEGIN[4:]], Terminal()) == REFUSED
    assert "one officer alone can give no power" in capsys.readouterr().err
    operator = as_(bureau, plant(bureau, 1, "operator"), "operator")
    made(bureau.post("/v1/staff", {"name": "wang.wu"}, token=operator))
    assert run(bureau, BEGIN, Terminal()) == REFUSED
    assert "name: wang.wu" in capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        run(bureau, [*BEGIN[:4], "--app", "No App", "--redirect", REDIRECT], Terminal())
    assert usage.value.code == UNDONE


MOVED = "https://office.gansu.example/elsewhere"
OFFICE_COMMAND = ["office", "gansu-office", "--redirect", MOVED]


def test_the_office_moves_by_the_command_and_keeps_what_it_may_ask_for(bureau: Bureau) -> None:
    """A file or a log may hear of it: it shows nothing that is a secret."""
    run(bureau, BEGIN, Terminal())
    shown = Terminal(is_one=False)
    assert run(bureau, OFFICE_COMMAND, shown) == DONE
    assert MOVED in shown.getvalue()
    operator = as_(bureau, plant(bureau, 1, "operator"), "operator")
    office = json_of(bureau.get("/v1/clients/gansu-office", token=operator))
    assert office["redirect_uris"] == [MOVED]
    assert (office["office"], office["scopes"]) == (True, list(OFFICE_SCOPES))
    events = json_of(bureau.get("/v1/audit-events", token=operator))["items"]
    assert [(event["what"], event["about"], event["by"]) for event in events] == [
        ("client_of_office", "gansu-office", "bootstrap"),
        ("client_of_office", "gansu-office", "bootstrap"),
    ]


def test_an_app_of_before_is_made_the_offices_own_with_what_it_had_beside(bureau: Bureau) -> None:
    """As an earlier release left it: without what gives power."""
    operator = as_(bureau, plant(bureau, 1, "operator"), "operator")
    body = {**NewClientSchema.EXAMPLE, "id": "gansu-office", "scopes": ["openid", "stores:write"]}
    made(bureau.post("/v1/clients", body, token=operator))
    made(bureau.post("/v1/clients/gansu-office/closure", token=operator))
    assert run(bureau, OFFICE_COMMAND, Terminal()) == DONE
    office = json_of(bureau.get("/v1/clients/gansu-office", token=operator))
    assert (office["office"], office["state"]) == (True, "open")
    assert office["scopes"] == [*OFFICE_SCOPES, "stores:write"]


def test_only_an_app_can_be_the_offices_own(
    bureau: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bureau, ["office", FIRM, "--redirect", MOVED], Terminal()) == REFUSED
    assert "such a client already" in capsys.readouterr().err
    assert run(bureau, [*OFFICE_COMMAND[:-1], "http://plain.example/"], Terminal()) == REFUSED
    assert "redirect_uris" in capsys.readouterr().err


def test_a_store_that_is_away_is_told_as_such(
    bureau: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    bureau.clock.hurry()
    bureau.store.inject("create", drop, times=100)
    shown = Terminal()
    assert run(bureau, BEGIN, shown) == UNDONE
    assert shown.getvalue() == ""
    bureau.clock.rest()
    bureau.store._faults.clear()
    assert run(bureau, BEGIN, shown) == DONE
    assert "again" not in capsys.readouterr().out


def test_settings_that_are_missing_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    def load() -> IdentitySettings:
        raise SettingsError("GANSU_TOKEN_KEY is missing")

    assert command.main(BEGIN, Terminal(), load) == UNDONE
    assert "GANSU_TOKEN_KEY" in capsys.readouterr().err


def test_the_staffs_app_asks_for_what_there_is_and_for_every_power() -> None:
    assert POWERS <= set(OFFICE_SCOPES) <= set(SCOPES)
