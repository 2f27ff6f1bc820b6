"""Who may call what: every route of every service, with too little to show for it."""

import pytest

from shared.web.common import FixedPage
from shared.web.service import Handler
from tests.support.houses import HOUSES, PUBLIC, SCOPED, Declared, House, Open
from tests.support.served import refused
from tests.support.tokens import ALL_SCOPES, EVERYONE

scoped = pytest.mark.parametrize("each", SCOPED, ids=lambda each: each.name)


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_every_address_is_declared_public_or_scoped(opened: Open, house: House) -> None:
    app = opened(house).app
    for rule in app.url_map.iter_rules():
        handler = app.handlers[rule.endpoint]
        if isinstance(handler, Handler):
            assert (handler.route.public is None) != (handler.route.scope is None), rule
        else:
            assert isinstance(handler, FixedPage) or rule.rule in house.beside, rule
    assert any(each.house is house for each in SCOPED)
    assert any(each.house is house for each in PUBLIC)


def test_the_tests_of_every_route_have_routes_to_go_through() -> None:
    assert len(SCOPED) >= 40
    assert len(PUBLIC) >= 20


@scoped
def test_no_token_is_unauthenticated(opened: Open, each: Declared) -> None:
    answer = opened(each.house).ask(each.route.method, each.path)
    refused(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@scoped
def test_a_token_that_is_not_good_is_told_from_none(opened: Open, each: Declared) -> None:
    answer = opened(each.house).ask(each.route.method, each.path, token="not.a.token")
    refused(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@scoped
def test_a_token_without_the_scope_is_forbidden(opened: Open, each: Declared) -> None:
    served = opened(each.house)
    others = set(ALL_SCOPES.split()) - {each.route.scope}
    token = served.issuer.token("someone", scope=" ".join(sorted(others)), roles=EVERYONE)
    answer = served.ask(each.route.method, each.path, token=token)
    assert refused(answer, 403, "forbidden")["scope"] == each.route.scope


@scoped
def test_a_token_without_the_role_is_forbidden(opened: Open, each: Declared) -> None:
    assert each.route.roles, "every scoped route is for somebody"
    served = opened(each.house)
    others = sorted(set(EVERYONE) - each.route.roles)
    token = served.issuer.token("someone", roles=others)
    answer = served.ask(each.route.method, each.path, token=token)
    assert refused(answer, 403, "forbidden")["roles"] == sorted(each.route.roles)


@pytest.mark.parametrize("each", PUBLIC, ids=lambda each: each.name)
def test_a_public_route_does_not_look_at_credentials(opened: Open, each: Declared) -> None:
    answer = opened(each.house).get(f"{each.path}?{each.query}", token="not.a.token")
    assert answer.status_code in {200, 404}


@pytest.mark.parametrize("each", [*SCOPED, *PUBLIC], ids=lambda each: each.name)
def test_what_is_private_or_refused_is_kept_nowhere(opened: Open, each: Declared) -> None:
    answer = opened(each.house).ask(each.route.method, each.path, by="citizen-1")
    if answer.status_code != 200 or each.route.public is None:
        assert answer.headers["Cache-Control"] == "no-store"
