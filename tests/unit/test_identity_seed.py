"""The sample accounts and clients, and `make token` where there is nothing to sign in to."""

from pathlib import Path

import pytest

from infra import sign_in
from infra.app import NotSignedIn, SignIn
from infra.client import Answered, Client
from infra.layout import Layout
from infra.seeds import account_of, identity, rows, tourism
from infra.seeds.health import samples as clinics
from services.identity.domain.scopes import SCOPES
from shared.clock import SystemClock
from tests.support.bureau import Bureau, given
from tests.support.served import json_of


def test_planting_again_changes_nothing(tmp_path: Path) -> None:
    with Bureau(tmp_path) as bureau:
        address = identity.last_planted(bureau.clock.now_ms()).removeprefix("/identity")
        assert bureau.get(address).status_code == 404
        read = identity.samples()
        planted = identity.plant(bureau.database, bureau.secrets)
        assert planted == len(read["accounts"]) + len(read["clients"])
        bureau.clock.pass_monotonic(2)
        assert bureau.get(address).status_code == 200
        before = bureau.database.read(lambda view: view.seq).value
        assert identity.plant(bureau.database, bureau.secrets) == 0
        assert bureau.database.read(lambda view: view.seq).value == before


def test_a_sample_account_is_signed_in_to_by_its_number(tmp_path: Path) -> None:
    with Bureau(tmp_path) as bureau:
        identity.plant(bureau.database, bureau.secrets)
        token = bureau.sign_in("+8613900000001")["access_token"]
        account = json_of(bureau.get("/v1/account", token=token))
        assert account["id"] == account_of("citizen-0001")
        assert account["sample"] is True


def test_everybody_whom_other_samples_name_is_there() -> None:
    read = identity.samples()
    there = {row["name"] for row in read["accounts"]} | {row["id"] for row in read["clients"]}
    hospitals = {row["hospital"] for row in clinics()["departments"]}
    named = {row["owner"] for row in rows("stores.json")}
    named |= {f"{kind}-{hospital}" for hospital in hospitals for kind in ("hospital", "clinician")}
    for operator in tourism.samples()["operators"]:
        named |= {*operator["staff"], *operator["gates"]}
    assert named <= there


def test_the_sample_app_can_ask_for_everything() -> None:
    [app] = [row for row in identity.samples()["clients"] if row["kind"] == "app"]
    assert set(app["scopes"]) == set(SCOPES)


@pytest.mark.parametrize(
    ("number", "scope"), [("+8613900000014", "clients:write"), ("+8613900000066", "roles:write")]
)
def test_the_sample_app_gives_the_samples_staff_their_powers(
    tmp_path: Path, number: str, scope: str
) -> None:
    app = sign_in.sample_app()
    with Bureau(tmp_path, staff_by_number=True) as bureau:
        identity.plant(bureau.database, bureau.secrets)
        asked = {"client_id": app.id, "redirect_uri": app.redirect}
        code = bureau.code_for_app(number, **asked, scope=" ".join(app.scopes))
        assert scope in given(bureau.redeem(code, **asked))["scope"].split()


def test_where_nothing_runs_nobody_signs_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign_in.main(["--directory", str(tmp_path)]) == 1
    assert "make run" in capsys.readouterr().err


class Hasty(Client):
    """A platform where a number was sent too many codes."""

    def ask(self, method: str, *_: object, **__: object) -> Answered:
        if method == "GET":
            return Answered(200, {}, b'<input name="page" value="p">')
        alert = b'<p role="alert">Too many codes; try again later</p>'
        return Answered(429, {"retry-after": "58"}, alert)


def test_who_asks_for_codes_too_often_is_told_for_how_long() -> None:
    hasty = SignIn(sign_in.sample_app(), Hasty(9, tls=False), SystemClock(), str)
    with pytest.raises(NotSignedIn, match=r"^Too many codes; try again later \(in 58 s\)$"):
        hasty.tokens("+8613800000000")


def test_a_platform_that_has_gone_is_told_as_such(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    layout.runner_lock.write_text("process 1, http://127.0.0.1:9")
    app = sign_in.SampleApp(layout, SystemClock())
    for account in ("citizen-0001", "+8613812345678"):
        with pytest.raises(NotSignedIn, match="does not answer"):
            app.token(account)
    with pytest.raises(NotSignedIn, match=r"nobody is neither a number .* citizen-0001"):
        app.token("nobody")
