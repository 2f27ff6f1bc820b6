"""Credentials that look right and are not: every kind of forged token."""

import hashlib
import hmac
from collections.abc import Callable

import pytest

from shared.auth.tokens import LEEWAY_SECONDS
from tests.support.served import refused
from tests.support.shop import Shop
from tests.support.tokens import jwks, new_key, segment, signed

# Tokens that look right

Forge = Callable[[Shop], str]


def _signed_by_hand(shop: Shop, header: object, secret: bytes) -> str:
    unsigned = f"{segment(header)}.{segment(shop.issuer.claims('citizen-1'))}"
    signature = hmac.digest(secret, unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{segment(signature)}"


def _expired(shop: Shop) -> str:
    now = shop.clock.now_ms() // 1000
    return shop.issuer.token("citizen-1", exp=now - LEEWAY_SECONDS - 1)


def _not_yet_valid(shop: Shop) -> str:
    now = shop.clock.now_ms() // 1000
    return shop.issuer.token("citizen-1", nbf=now + LEEWAY_SECONDS + 1)


def _tampered_claims(shop: Shop) -> str:
    header, _, signature = shop.issuer.token("citizen-1").split(".")
    return f"{header}.{segment(shop.issuer.claims('citizen-2'))}.{signature}"


def _tampered_signature(shop: Shop) -> str:
    token = shop.issuer.token("citizen-1")
    # In the middle: the last character of base64 holds bits that do not count.
    at = len(token) - 40
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


def _unsigned(shop: Shop) -> str:
    header = {"alg": "none", "typ": "at+jwt", "kid": "first"}
    return f"{segment(header)}.{segment(shop.issuer.claims('citizen-1'))}."


def _unsigned_with_something(shop: Shop) -> str:
    return _unsigned(shop) + "AAAA"


def _public_key_as_secret(shop: Shop) -> str:
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "first"}
    return _signed_by_hand(shop, header, shop.issuer.key.as_pem(private=False))


def _jwks_as_secret(shop: Shop) -> str:
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "first"}
    return _signed_by_hand(shop, header, jwks(shop.issuer.key))


GOOD_HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": "first"}


def _with_header(shop: Shop, header: object) -> str:
    return signed(header, shop.issuer.claims("citizen-1"), shop.issuer.key)


def _own_key_in_header(shop: Shop) -> str:
    own = new_key("first")
    return shop.issuer.token("citizen-1", key=own, header={"jwk": own.as_dict(private=False)})


FORGED: dict[str, Forge] = {
    "expired": _expired,
    "not yet valid": _not_yet_valid,
    "tampered claims": _tampered_claims,
    "tampered signature": _tampered_signature,
    "alg none": _unsigned,
    "alg none with something": _unsigned_with_something,
    "HS256 with the public key": _public_key_as_secret,
    "HS256 with the JWKS": _jwks_as_secret,
    "another key under a known id": lambda shop: shop.issuer.token(
        "citizen-1", key=new_key("first")
    ),
    "a key of its own": _own_key_in_header,
    "an unknown key": lambda shop: shop.issuer.token("citizen-1", key=new_key("second")),
    "no key id": lambda shop: shop.issuer.token("citizen-1", header={"kid": ""}),
    "an id token": lambda shop: shop.issuer.token("citizen-1", header={"typ": "JWT"}),
    "another audience": lambda shop: shop.issuer.token("citizen-1", aud=["tourism"]),
    "no audience": lambda shop: shop.issuer.token("citizen-1", aud=None),
    "another issuer": lambda shop: shop.issuer.token("citizen-1", iss="https://elsewhere"),
    "no issuer": lambda shop: shop.issuer.token("citizen-1", iss=None),
    "no expiry": lambda shop: shop.issuer.token("citizen-1", exp=None),
    "an expiry in words": lambda shop: shop.issuer.token("citizen-1", exp="tomorrow"),
    "an expiry that is true": lambda shop: shop.issuer.token("citizen-1", exp=True),
    "no subject": lambda shop: shop.issuer.token("citizen-1", sub=None),
    "an empty subject": lambda shop: shop.issuer.token(""),
    "a subject that is a number": lambda shop: shop.issuer.token("1", sub=7),
    "roles in words": lambda shop: shop.issuer.token("citizen-1", roles="citizen"),
    "scopes in a list": lambda shop: shop.issuer.token("citizen-1", scope=["orders:read"]),
    "a critical extension": lambda shop: shop.issuer.token(
        "citizen-1", header={"crit": ["x"], "x": 1}
    ),
    "a header that is a list": lambda shop: _with_header(shop, [1]),
    "a header that is text": lambda shop: _with_header(shop, b"not json"),
    "a header without alg": lambda shop: _with_header(shop, {"typ": "at+jwt", "kid": "first"}),
    "a type that is a number": lambda shop: shop.issuer.token("citizen-1", header={"typ": 1}),
    "a key id that is a list": lambda shop: shop.issuer.token(
        "citizen-1", header={"kid": ["first"]}
    ),
    "claims that are a list": lambda shop: signed(GOOD_HEADER, [1], shop.issuer.key),
    "claims that are text": lambda shop: signed(GOOD_HEADER, b"not json", shop.issuer.key),
    "dots": lambda _: "..",
    "a space": lambda shop: shop.issuer.token("citizen-1") + " x",
    "very long": lambda shop: shop.issuer.token("citizen-1", padding="x" * 5000),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_unauthenticated(shop: Shop, forge: Forge) -> None:
    refused(shop.get("/v1/orders", token=forge(shop)), 401, "unauthenticated")


def test_the_good_token_that_forgeries_imitate_is_good(shop: Shop) -> None:
    assert shop.get("/v1/orders", token=shop.issuer.token("citizen-1")).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "bearer", "Token abc"])
def test_other_credentials_are_unauthenticated(shop: Shop, header: str) -> None:
    answer = shop.get("/v1/orders", headers={"Authorization": header})
    refused(answer, 401, "unauthenticated")


def test_who_calls_before_the_keys_were_ever_read_is_asked_to_come_back(
    fresh_shop: Shop,
) -> None:
    shop = fresh_shop
    shop.issuer.down = True
    answer = shop.get("/v1/orders", token=shop.issuer.token("citizen-1"))
    refused(answer, 503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
