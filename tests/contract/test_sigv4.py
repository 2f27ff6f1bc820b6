"""Our signatures are botocore's."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.sigv4 import Credentials, Signer, quote_path, quote_query

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)


def botocore_signs(
    method: str, url: str, headers: dict[str, str], body: bytes, credentials: Credentials
) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    boto = BotoCredentials(
        credentials.access_key, credentials.secret_key, credentials.token or None
    )
    S3SigV4Auth(boto, "s3", "cn-northwest-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def stamp_ms(stamp: str) -> int:
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000


@pytest.mark.fuzz
@given(
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
    key=TEXT,
    query=st.dictionaries(TEXT.filter(bool), TEXT, max_size=3),
    body=st.binary(max_size=100),
    token=st.sampled_from(["", "temporary=="]),
    conditional=st.booleans(),
)
def test_every_request_is_signed_as_botocore_signs_it(
    method: str, key: str, query: dict[str, str], body: bytes, token: str, conditional: bool
) -> None:
    path, asked = quote_path(f"/bucket/{key}"), quote_query(query)
    url = f"https://store.example:9000{path}" + (f"?{asked}" if asked else "")
    headers = {"host": urlsplit(url).netloc}
    if conditional:
        headers["if-none-match"] = "*"
    credentials = Credentials("AKID", "secret", token)
    expected = botocore_signs(method, url, headers, body, credentials)

    signer = Signer("cn-northwest-1")
    now_ms = stamp_ms(expected["x-amz-date"]) + 999
    for _ in range(2):  # the second time with the kept key
        signed = signer.sign(method, path, asked, headers, body, credentials, now_ms)
        assert signed == expected


def test_the_kept_key_follows_day_and_secret() -> None:
    signer = Signer("cn-northwest-1")
    noon_ms = 1_780_000_000_000

    def signature(by: Signer, secret: str, now_ms: int) -> str:
        who = Credentials("AKID", secret)
        return by.sign("GET", "/b/k", "", {"host": "h"}, b"", who, now_ms)["authorization"]

    for secret, now_ms in [("a", noon_ms), ("b", noon_ms), ("b", noon_ms + 86_400_000)]:
        fresh = signature(Signer("cn-northwest-1"), secret, now_ms)
        assert signature(signer, secret, now_ms) == fresh
