"""Bad input to any route of any service: each a precise problem document that names the field."""

from typing import Any

import pytest

from shared.web.routes import Binary
from tests.support.houses import EVERY_ROUTE, Declared, Open
from tests.support.served import BODY_BYTES_MAX, refused

WRITES = [each for each in EVERY_ROUTE if each.route.method != "GET"]
BODIES = [each for each in WRITES if each.schema is not None]
UPLOADS = [each for each in WRITES if isinstance(each.route.body, Binary)]
READS = [each for each in EVERY_ROUTE if each.route.method == "GET"]
LISTS = [each for each in READS if each.route.paged]

writes = pytest.mark.parametrize("each", WRITES, ids=lambda each: each.name)
bodies = pytest.mark.parametrize("each", BODIES, ids=lambda each: each.name)
uploads = pytest.mark.parametrize("each", UPLOADS, ids=lambda each: each.name)
reads = pytest.mark.parametrize("each", READS, ids=lambda each: each.name)
lists = pytest.mark.parametrize("each", LISTS, ids=lambda each: each.name)


def send(opened: Open, each: Declared, body: object = None, **options: Any) -> Any:
    """A request that only what the test is about can be wrong with; ids lead nowhere."""
    route = each.route
    headers = options.pop("headers", {})
    if route.conditional:
        headers = {"If-Match": '"1"', **headers}
    if body is None and "raw" not in options and each.schema is not None:
        body = each.schema.EXAMPLE
    query = "&".join(part for part in (options.pop("query", ""), each.query) if part)
    path = f"{each.path}?{query}" if query else each.path
    served = opened(each.house)
    return served.ask(route.method, path, body, by="everyone", headers=headers, **options)


@bodies
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{]",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1}}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'\xef\xbb\xbf{"a": 1}',
        b"[" * 5000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        '{"a": 1}'.encode("utf-16"),
        b"\x00",
        b"{'a': 1}",
    ],
    ids=lambda raw: raw[:14],
)
def test_what_is_no_json_is_malformed(opened: Open, each: Declared, raw: bytes) -> None:
    refused(send(opened, each, raw=raw), 400, "malformed-request")


@bodies
@pytest.mark.parametrize("body", [[], "text", 7, True, [{}]])
def test_a_body_that_is_no_object_is_named(opened: Open, each: Declared, body: object) -> None:
    refused(send(opened, each, body), 422, "invalid-request", "body")


@bodies
def test_null_is_no_object(opened: Open, each: Declared) -> None:
    refused(send(opened, each, raw=b"null"), 422, "invalid-request", "body")


@bodies
def test_an_unknown_field_is_named(opened: Open, each: Declared) -> None:
    assert each.schema is not None
    body = {**(each.schema.EXAMPLE or {}), "surplus": 1}
    refused(send(opened, each, body), 422, "invalid-request", "surplus")


@bodies
def test_a_field_that_stands_twice_is_named(opened: Open, each: Declared) -> None:
    refused(send(opened, each, raw=b'{"x": 1, "x": 1}'), 422, "invalid-request", "x")


@pytest.mark.parametrize(
    "each", [each for each in WRITES if each.route.body is None], ids=lambda each: each.name
)
def test_a_route_without_a_body_takes_none_or_an_empty_one(opened: Open, each: Declared) -> None:
    refused(send(opened, each, {"surplus": 1}), 422, "invalid-request", "surplus")
    refused(send(opened, each, {}), 404, "not-found")
    refused(send(opened, each), 404, "not-found")


@bodies
@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=gbk"],
)
def test_another_media_type_is_refused(opened: Open, each: Declared, media: str) -> None:
    answer = send(opened, each, headers={"Content-Type": media})
    problem = refused(answer, 415, "unsupported-media-type")
    assert problem["media_types"] == ["application/json"]


@bodies
def test_a_compressed_body_is_refused(opened: Open, each: Declared) -> None:
    answer = send(opened, each, headers={"Content-Encoding": "gzip"})
    problem = refused(answer, 415, "unsupported-media-type")
    assert problem["content_encodings"] == ["identity"]


@bodies
def test_an_oversized_body_is_refused(opened: Open, each: Declared) -> None:
    largest = b" " * (BODY_BYTES_MAX - 2) + b"{}"
    problem = refused(send(opened, each, raw=largest + b" "), 413, "too-large")
    assert problem["bytes_max"] == BODY_BYTES_MAX
    assert send(opened, each, raw=largest).status_code not in {400, 413}


@uploads
def test_an_upload_is_of_a_type_that_is_taken_whole_and_not_too_large(
    opened: Open, each: Declared
) -> None:
    binary = each.route.body
    assert isinstance(binary, Binary)
    for media in ("application/json", "text/html", "image/svg+xml", ""):
        answer = send(opened, each, raw=b"x", headers={"Content-Type": media})
        problem = refused(answer, 415, "unsupported-media-type")
        assert problem["media_types"] == list(binary.media_types)
    given = {"Content-Type": binary.media_types[0]}
    refused(send(opened, each, raw=b"", headers=given), 422, "invalid-request", "body")
    large = b"x" * (binary.bytes_max + 1)
    problem = refused(send(opened, each, raw=large, headers=given), 413, "too-large")
    assert problem["bytes_max"] == binary.bytes_max
    packed = {**given, "Content-Encoding": "gzip"}
    refused(send(opened, each, raw=b"x", headers=packed), 415, "unsupported-media-type")


@reads
def test_an_unknown_query_field_is_named(opened: Open, each: Declared) -> None:
    refused(send(opened, each, query="surplus=1"), 422, "invalid-request", "surplus")


@reads
def test_a_query_field_that_is_given_twice_is_named(opened: Open, each: Declared) -> None:
    refused(send(opened, each, query="x=1&x=1"), 422, "invalid-request", "x")


@lists
def test_a_known_query_field_that_is_given_twice_is_named(opened: Open, each: Declared) -> None:
    refused(send(opened, each, query="limit=5&limit=5"), 422, "invalid-request", "limit")


@reads
@pytest.mark.parametrize("query", ["x=%ff", "%ff=1", "&".join(["a=1"] * 60)])
def test_an_unreadable_query_is_malformed(opened: Open, each: Declared, query: str) -> None:
    refused(send(opened, each, query=query), 400, "malformed-request")


@lists
@pytest.mark.parametrize(
    "limit", ["0", "-1", "101", "x", "", "1.0", "1e1", "+5", "05", "1_0", "%EF%BC%95", "9" * 30]
)
def test_a_bad_limit_is_named(opened: Open, each: Declared, limit: str) -> None:
    refused(send(opened, each, query=f"limit={limit}"), 422, "invalid-request", "limit")


@lists
@pytest.mark.parametrize("after", ["", "x", "AAAA", "!!!!", "%00", "A" * 1025, "AA=="])
def test_a_made_up_cursor_is_named(opened: Open, each: Declared, after: str) -> None:
    refused(send(opened, each, query=f"after={after}"), 422, "invalid-request", "after")


@writes
def test_idempotency_and_precondition_are_asked_for(opened: Open, each: Declared) -> None:
    route, served = each.route, opened(each.house)
    body = each.schema.EXAMPLE if each.schema else None
    headers = {}
    if isinstance(route.body, Binary):
        headers, body = {"Content-Type": route.body.media_types[0]}, {}
    answer = served.ask(route.method, each.path, body, by="everyone", key="", headers=headers)
    if route.method == "POST":
        refused(answer, 400, "idempotency-key-missing")
    else:
        refused(answer, 428, "precondition-missing")


@reads
@pytest.mark.parametrize("seq", ["-1", "x", "", "1.5", "9" * 16, "9" * 40])
def test_an_odd_commit_seq_is_named(opened: Open, each: Declared, seq: str) -> None:
    answer = send(opened, each, headers={"Commit-Seq": seq})
    refused(answer, 422, "invalid-request", "Commit-Seq")
