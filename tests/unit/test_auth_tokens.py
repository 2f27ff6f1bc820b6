"""What is remembered of a token, and what is not. Forgeries are in tests/http."""

from typing import Any

import pytest

from shared.auth.keys import REFRESH_SECONDS
from shared.auth.subjects import service_subject
from shared.auth.tokens import LEEWAY_SECONDS, TokenVerifier
from shared.errors import UNAUTHENTICATED, Refused
from tests.support.clock import FakeClock
from tests.support.tokens import SUBJECT_KEY, Issuer, jwks, new_key, signed


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def verifier(issuer: Issuer) -> TokenVerifier:
    return issuer.verifier()


def bearer(token: str) -> str:
    return f"Bearer {token}"


def assert_unauthenticated(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Refused) as refused:
        verifier.identify(bearer(token))
    assert refused.value.problem is UNAUTHENTICATED


def test_an_identity_is_what_the_token_says_under_the_services_own_subject(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    token = issuer.token("citizen-1", scope="orders:read x:y", roles=["citizen"])
    identity = verifier.identify(bearer(token))
    assert identity.subject == service_subject("citizen-1", SUBJECT_KEY)
    assert identity.scopes == {"orders:read", "x:y"}
    assert identity.roles == {"citizen"}


@pytest.mark.parametrize("changes", [{"scope": None}, {"roles": None}, {"nbf": None}])
def test_claims_that_a_token_may_lack(
    verifier: TokenVerifier, issuer: Issuer, changes: dict[str, Any]
) -> None:
    identity = verifier.identify(bearer(issuer.token("citizen-1", **changes)))
    assert identity.subject


@pytest.mark.parametrize("audience", ["commerce", ["commerce"], ["health", "commerce"]])
@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_forms_that_a_good_token_may_have(
    verifier: TokenVerifier, issuer: Issuer, audience: object, kind: str
) -> None:
    token = issuer.token("citizen-1", aud=audience, header={"typ": kind})
    assert verifier.identify(bearer(token)).subject
    assert verifier.identify(f"bearer  {token}").subject


def test_a_token_is_verified_once(
    verifier: TokenVerifier, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token("citizen-1")
    first = verifier.identify(bearer(token))
    verified: list[bytes] = []
    monkeypatch.setattr(verifier, "_verify", verified.append)
    assert verifier.identify(bearer(token)) is first
    assert verified == []


def test_a_remembered_token_expires_all_the_same(
    verifier: TokenVerifier, issuer: Issuer, clock: FakeClock
) -> None:
    token = issuer.token("citizen-1")
    verifier.identify(bearer(token))
    clock.pass_wall(seconds=3600 + LEEWAY_SECONDS - 1)
    verifier.identify(bearer(token))
    clock.pass_wall(seconds=2)
    assert_unauthenticated(verifier, token)


def test_a_remembered_token_is_not_good_before_its_time(
    verifier: TokenVerifier, issuer: Issuer, clock: FakeClock
) -> None:
    now = clock.now_ms() // 1000
    token = issuer.token("citizen-1", nbf=now + 100)
    assert_unauthenticated(verifier, token)
    clock.pass_wall(seconds=100 - LEEWAY_SECONDS)
    assert verifier.identify(bearer(token)).subject


def test_a_remembered_token_is_void_once_its_key_is_withdrawn(
    verifier: TokenVerifier, issuer: Issuer, clock: FakeClock
) -> None:
    token = issuer.token("citizen-1", exp=clock.now_ms() // 1000 + 10 * 3600)
    verifier.identify(bearer(token))
    issuer.published = jwks(new_key("second"))
    clock.pass_monotonic(REFRESH_SECONDS + 1)
    assert_unauthenticated(verifier, token)


def test_no_more_tokens_are_remembered_than_allowed(issuer: Issuer) -> None:
    verifier = issuer.verifier(remembered_max=3)
    tokens = [issuer.token(f"citizen-{number}") for number in range(5)]
    for token in tokens[:3]:
        verifier.identify(bearer(token))
    oldest = verifier.identify(bearer(tokens[0]))
    for token in tokens[3:]:
        verifier.identify(bearer(token))
    assert len(verifier._remembered) == 3
    assert verifier.identify(bearer(tokens[0])) is oldest, "the one used last stays"


def test_neither_the_token_nor_the_account_is_kept(verifier: TokenVerifier, issuer: Issuer) -> None:
    token = issuer.token("citizen-13811112222")
    verifier.identify(bearer(token))
    kept = repr(verifier._remembered)
    assert "13811112222" not in kept
    assert token.split(".")[1] not in kept


ACT = {"sub": "agent-1", "kind": "station_agent", "delegation": "delegation_1"}


@pytest.mark.parametrize("kind", ["station_agent", "guardian"])
def test_whoever_acts_is_known_by_subject_kind_and_delegation(
    verifier: TokenVerifier, issuer: Issuer, kind: str
) -> None:
    identity = verifier.identify(bearer(issuer.token("citizen-1", act={**ACT, "kind": kind})))
    assert identity.subject == service_subject("citizen-1", SUBJECT_KEY)
    assert identity.actor is not None
    assert identity.actor.subject == service_subject("agent-1", SUBJECT_KEY)
    assert identity.actor.kind == kind
    assert verifier.seal.opened(identity.actor.delegation) == "delegation_1"
    assert "delegation_1" not in repr(identity)
    assert verifier.identify(bearer(issuer.token("citizen-1"))).actor is None


@pytest.mark.parametrize(
    "act",
    [
        *(None, [], {}, "agent-1", 7, True),
        *({name: ACT[name] for name in ACT if name != missing} for missing in ACT),
        {**ACT, "act": ACT},
        {**ACT, "scope": "orders:write"},
        *({**ACT, "sub": sub} for sub in ("", None, 7, ["agent-1"], "x" * 256, "citizen-1")),
        *({**ACT, "kind": kind} for kind in ("", None, "operator", "citizen", ["guardian"])),
        *({**ACT, "delegation": each} for each in ("", None, 7, "x" * 101, "a b", "a\n", "代办")),
    ],
    ids=str,
)
def test_an_act_of_another_form_makes_it_no_token(
    verifier: TokenVerifier, issuer: Issuer, act: object
) -> None:
    claims = {**issuer.claims("citizen-1"), "act": act}
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    assert_unauthenticated(verifier, signed(header, claims, issuer.key))


def test_callers_are_told_apart_by_who_acts(verifier: TokenVerifier, issuer: Issuer) -> None:
    acts = [None, ACT, {**ACT, "sub": "agent-2"}, {**ACT, "delegation": "delegation_2"}]
    tokens = [issuer.token("citizen-1", act=act) for act in acts]
    alone, one, other, renewed = [verifier.identify(bearer(each)).caller for each in tokens]
    assert len({alone, one, other}) == 3
    assert one == renewed


def test_a_refused_token_is_not_remembered(verifier: TokenVerifier, issuer: Issuer) -> None:
    assert_unauthenticated(verifier, issuer.token("citizen-1", aud=["health"]))
    assert len(verifier._remembered) == 0
