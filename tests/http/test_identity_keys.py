"""Signing keys: published before they sign, until their tokens are over, the same everywhere."""

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from joserfc import jws

from services.identity import keys as command
from services.identity.actions.keys import Keys, standing
from services.identity.command import DONE, REFUSED
from services.identity.domain import CATALOGUE
from services.identity.domain.keys import AHEAD_MS, SIGNS_MS, TOKEN_MS_MAX
from services.identity.domain.secrets import Secrets, sealing_of
from shared.auth.keys import REFRESH_SECONDS
from shared.errors import Refused
from shared.settings import IdentitySettings
from shared.storage.database import JournalDatabase
from shared.storage.memory import MemoryStore
from shared.times import DAY_MS
from tests.support.bureau import OPERATOR, Bureau, given
from tests.support.served import json_of, refused

NUMBER = "13800000001"


def published(bureau: Bureau) -> list[str]:
    bureau.clock.pass_monotonic(10)
    document = json_of(bureau.client.get("/identity/.well-known/jwks.json"))
    assert all(
        sorted(key) == ["alg", "crv", "kid", "kty", "use", "x", "y"] for key in document["keys"]
    )
    return [key["kid"] for key in document["keys"]]


def signer(token: str) -> str:
    return str(jws.extract_compact(token.encode()).headers()["kid"])


def tidied(bureau: Bureau) -> None:
    """What a container does by itself, until there is nothing to do."""
    now_ms = bureau.clock.now_ms()
    while bureau.database.read(lambda view: bureau.upkeep.due(view, now_ms)).value:
        bureau.database.transact(bureau.upkeep.change)


def pass_days(bureau: Bureau, days: float) -> None:
    bureau.clock.pass_wall(hours=24 * days)
    tidied(bureau)


def test_keys_roll_over(bureau: Bureau) -> None:
    [first] = published(bureau)
    assert signer(bureau.sign_in(NUMBER)["access_token"]) == first

    pass_days(bureau, (SIGNS_MS - AHEAD_MS) / DAY_MS + 0.01)
    _, second = published(bureau)
    held = bureau.sign_in(NUMBER)["access_token"]
    assert signer(held) == first

    pass_days(bureau, AHEAD_MS / DAY_MS)
    assert published(bureau) == [first, second]
    newer = bureau.sign_in("13800000002")["access_token"]
    assert signer(newer) == second

    pass_days(bureau, TOKEN_MS_MAX / DAY_MS)
    assert published(bureau) == [second]


def test_a_token_of_the_old_key_is_good_until_it_expires(bureau: Bureau) -> None:
    published(bureau)
    pass_days(bureau, SIGNS_MS / DAY_MS - 0.001)
    held = bureau.sign_in(NUMBER)["access_token"]
    pass_days(bureau, 0.002)
    bearer = f"Bearer {held}"
    assert bureau.verifier_for("commerce").identify(bearer).roles == {"citizen"}


def test_after_a_long_sleep_there_is_a_key_at_once(bureau: Bureau) -> None:
    [first] = published(bureau)
    bureau.clock.pass_wall(hours=24 * 400)
    token = bureau.sign_in(NUMBER)["access_token"]
    assert signer(token) != first
    assert bureau.verifier_for("commerce").identify(f"Bearer {token}").roles == {"citizen"}


def test_two_containers_agree(bureau: Bureau, tmp_path: Path) -> None:
    other = JournalDatabase(
        MemoryStore(bureau.bucket, clock=bureau.clock),
        CATALOGUE,
        prefix="identity/",
        directory=tmp_path / "two",
        clock=bureau.clock,
    )
    theirs = Keys(bureau.secrets.sealing)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(4):
                rolled = [
                    pool.submit(database.transact, keys.roll)
                    for database, keys in ((bureau.database, bureau.keys), (other, theirs))
                ]
                [each.result() for each in rolled]
        one, two = bureau.keys.published(bureau.database), theirs.published(other)
        assert one == two
        assert len(one) == 1
        token = other.transact(lambda tx: theirs.sign(tx, "at+jwt", {"x": 1})).value
        assert bureau.database.read(lambda view: bureau.keys.read(view, token)).value == {"x": 1}
    finally:
        bureau.clock.hurry()
        other.close()
        bureau.clock.rest()


def test_a_key_is_nothing_without_what_it_was_sealed_with(bureau: Bureau) -> None:
    bureau.sign_in(NUMBER)
    [key] = bureau.database.read(standing).value
    with pytest.raises(ValueError, match="not sealed here"):
        bureau.secrets.sealing.unseal("keys", "key_other", key.body["sealed"])


def test_another_sealing_key_makes_keys_beside_those_that_it_cannot_open(bureau: Bureau) -> None:
    [first] = published(bureau)
    renewed = Keys(sealing_of(b"another sealing key of 32 bytes!!", bureau.clock.random))
    sign = bureau.database.transact
    new = sign(lambda tx: renewed.sign(tx, "at+jwt", {"x": 1})).value
    old = sign(lambda tx: bureau.keys.sign(tx, "at+jwt", {"x": 2})).value
    assert signer(old) == first != signer(new)
    assert set(published(bureau)) == {first, signer(new)}
    assert bureau.database.read(lambda view: bureau.keys.read(view, new)).value == {"x": 1}


def test_what_is_over_is_removed(bureau: Bureau) -> None:
    def count(name: str) -> int:
        index = f"{name}_by_end"
        return len(bureau.database.read(lambda view: view.find(index, (), limit=500)).value)

    bureau.sign_in(NUMBER)
    assert (count("grants"), count("sign_ins")) == (1, 1)
    assert count("counts") == 5
    pass_days(bureau, 2)
    assert (count("sign_ins"), count("counts"), count("grants")) == (0, 0, 1)
    pass_days(bureau, 40)
    assert count("grants") == 0


# Withdrawing


REASON = ("--reason", "the laptop was stolen")


def run(bureau: Bureau, *argv: str, secrets: Secrets | None = None) -> tuple[int, str]:
    """The operator's command: its exit code, and what it shows."""
    loaded = IdentitySettings.from_environ({"GANSU_ENV": "development"})
    own, shown = secrets or bureau.secrets, io.StringIO()
    code = command.main(argv, shown, lambda: loaded, lambda _: (nullcontext(bureau.database), own))
    return code, shown.getvalue()


def other_secrets(bureau: Bureau) -> Secrets:
    """Those of a container that was given another sealing key."""
    return Secrets(b"d" * 32, b"t" * 32, b"another sealing key of 32 bytes!!", bureau.clock.random)


def test_a_withdrawn_key_signs_no_more_and_its_tokens_end_with_the_next_look(
    bureau: Bureau,
) -> None:
    tokens = bureau.sign_in(NUMBER)
    held, service = tokens["access_token"], bureau.verifier_for("commerce")
    service.identify(f"Bearer {held}")
    assert bureau.get("/v1/account", token=held).status_code == 200
    code, said = run(bureau, "withdraw", signer(held), *REASON)
    assert (code, signer(held) in said) == (DONE, True)
    assert signer(held) not in published(bureau)
    bureau.clock.pass_monotonic(REFRESH_SECONDS)
    with pytest.raises(Refused, match="unauthenticated"):
        service.identify(f"Bearer {held}")
    refused(bureau.get("/v1/account", token=held), 401, "unauthenticated")
    newer = given(bureau.refresh(tokens["refresh_token"]))["access_token"]
    assert signer(newer) != signer(held)
    assert service.identify(f"Bearer {newer}").roles == {"citizen"}
    assert bureau.get("/v1/account", token=newer).status_code == 200


def test_the_next_key_signs_at_once_where_it_is_published_already(bureau: Bureau) -> None:
    """Services know it: nobody waits until they look again."""
    published(bureau)
    pass_days(bureau, (SIGNS_MS - AHEAD_MS) / DAY_MS + 0.01)
    first, second = published(bureau)
    run(bureau, "withdraw", first, *REASON)
    assert published(bureau) == [second]
    assert signer(bureau.sign_in(NUMBER)["access_token"]) == second


def test_the_next_key_is_made_anew_where_it_is_withdrawn(bureau: Bureau) -> None:
    published(bureau)
    pass_days(bureau, (SIGNS_MS - AHEAD_MS) / DAY_MS + 0.01)
    first, second = published(bureau)
    run(bureau, "withdraw", second, *REASON)
    assert signer(bureau.sign_in(NUMBER)["access_token"]) == first
    assert len(published(bureau)) == 2
    run(bureau, "withdraw", *published(bureau), *REASON)
    [last] = published(bureau)
    assert last not in {first, second}
    assert signer(bureau.sign_in("13800000002")["access_token"]) == last


def test_what_another_sealing_key_had_sealed_is_withdrawn_once_this_one_is_used(
    bureau: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    [leaked] = published(bureau)
    renewed = other_secrets(bureau)
    code, _ = run(bureau, "withdraw", "--unopened", *REASON, secrets=renewed)
    assert (code, published(bureau)) == (REFUSED, [leaked])
    assert "sealing key" in capsys.readouterr().err
    bureau.database.transact(Keys(renewed.sealing).roll)
    code, _ = run(bureau, "withdraw", "--unopened", *REASON, secrets=renewed)
    [own] = published(bureau)
    assert (code, own != leaked) == (DONE, True)
    assert run(bureau, "withdraw", "--unopened", *REASON, secrets=renewed)[0] == DONE
    assert published(bureau) == [own]


def test_keys_are_listed_with_whether_they_open(bureau: Bureau) -> None:
    [first] = published(bureau)
    renewed = other_secrets(bureau)
    bureau.database.transact(Keys(renewed.sealing).roll)
    code, said = run(bureau, "list", secrets=renewed)
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert (code, set(rows)) == (DONE, set(published(bureau)))
    assert "is not opened" in rows[first]
    assert [kid for kid, row in rows.items() if "is not opened" in row] == [first]


def test_a_key_that_is_not_there_withdraws_none(
    bureau: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    before = published(bureau)
    gone = "key_" + "0" * 32
    assert run(bureau, "withdraw", *before, gone, *REASON)[0] == REFUSED
    assert gone in capsys.readouterr().err
    assert published(bureau) == before


@pytest.mark.parametrize(
    "argv",
    [("withdraw", *REASON), ("withdraw", "--unopened"), ("withdraw", "k", "--unopened", *REASON)],
)
def test_which_keys_and_why_has_to_be_said(bureau: Bureau, argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        run(bureau, *argv)


def test_who_withdrew_which_key_and_why_stands_where_the_auditor_reads_it(bureau: Bureau) -> None:
    [first] = published(bureau)
    run(bureau, "withdraw", first, *REASON)
    [event] = json_of(bureau.get("/v1/audit-events", by=OPERATOR))["items"]
    said = (event["what"], event["about"], event["by"], event["reason"])
    assert said == ("key_withdrawn", first, "keys", REASON[1])
