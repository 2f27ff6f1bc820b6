"""`ObjectStore` over S3: one bucket of AWS, SeaweedFS, Ceph RGW, Alibaba OSS and their like.

The only module that imports boto3. boto3 knows where a bucket is (regions, addressing styles) and
whose credentials apply (environment, files, roles that renew themselves). The six requests of the
engine are then signed and sent by `sigv4` and `http1`: through boto3 a create costs 1.6 ms of CPU
and 4.3 ms in all on loopback, here 0.15 ms and 1.5 ms (docs/decisions/0004).

What each answer means is the table of `objects`, and nothing is ever retried.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import boto3
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.loaders import Loader
from botocore.session import Session as Core

from shared import waiting
from shared.clock import Clock
from shared.storage.http1 import (
    CONNECT_SECONDS,
    SILENCE_SECONDS,
    Answer,
    Http,
    NoAnswer,
)
from shared.storage.objects import (
    Absent,
    Denied,
    Exists,
    Misconfigured,
    ObjectInfo,
    StoreError,
    Uncertain,
)
from shared.storage.sigv4 import Credentials, Signer, quote_path, quote_query

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_Page = tuple[list[ObjectInfo], bool]

CreateCondition = Literal["if-none-match", "oss"]

_CONDITION_HEADERS: dict[CreateCondition, dict[str, str]] = {
    "if-none-match": {"if-none-match": "*"},
    # Alibaba OSS ignores If-None-Match on uploads. Checked against a stub that records the header,
    # never against the real service: let the start-up probe decide.
    "oss": {"x-oss-forbid-overwrite": "true"},
}

_DESCRIPTIONS = Loader()
"""Botocore's descriptions of S3, read once: for each session anew they take 0.1 s."""

_PAGE_KEYS_MAX = 1000
_STATUSES_REDIRECT = {301, 302, 307, 308}
_STATUSES_LATER = {408, 425, 429}
_CODES_DENIED = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}  # these come with 400
_CODES_UNCERTAIN = {"RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"}


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a bucket is and who asks. Without `endpoint_url` it is AWS's own for the region;
    without keys they come from boto3's chain (environment, shared files, instance role).

    `condition` says how a create is conditional; `oss` also means virtual-hosted addresses, the
    only kind that OSS serves. `ca_file` replaces the system's certificate authorities.
    """

    bucket: str
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = None
    condition: CreateCondition = "if-none-match"
    ca_file: str = ""


class S3Store:
    """One bucket. Implements `ObjectStore`; thread-safe; belongs to one process, made after fork.

    `connections` bounds how many idle connections stay open. With `digests` a create also carries
    Content-MD5, without which stores take nothing under Object Lock. Making one raises Denied where
    no credentials are found; it asks the store nothing.
    """

    def __init__(
        self, address: S3Address, clock: Clock, *, connections: int = 32, digests: bool = False
    ) -> None:
        # A presigned URL is boto3's public way to say where it would send a request.
        session = _session(address)
        with translated("object store"):
            sample = client(address, session).generate_presigned_url(
                "get_object", Params={"Bucket": address.bucket, "Key": "k"}
            )
        base = urlsplit(sample)
        self._root = base.path.removesuffix("k")
        self._http = Http(
            f"{base.scheme}://{base.netloc}", clock, kept=connections, ca_file=address.ca_file
        )
        self._signer = Signer(address.region)
        self._credentials = _credentials(session)
        self._condition = _CONDITION_HEADERS[address.condition]
        self._clock = clock
        self._digests = digests
        self._skew_ms: int | None = None
        self._date: tuple[str | None, int] = (None, 0)

    def create(self, key: str, body: bytes) -> None:
        headers = self._condition
        if self._digests:
            content = hashlib.md5(body, usedforsecurity=False).digest()
            headers = {**headers, "content-md5": base64.b64encode(content).decode()}
        answer = self._send("PUT", key, body=body, headers=headers)
        # The status decides: what follows it says nothing more about whether it is stored.
        if answer.status == 200:
            return
        if answer.status in (409, 412):
            raise Exists(f"PUT {key}: {answer.status}")
        raise _error("PUT", key, answer)

    def get(self, key: str) -> bytes:
        answer = self._send("GET", key)
        if answer.status == 200 and answer.whole:
            return answer.body
        raise _error("GET", key, answer)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        end = start + length
        answer = self._send("GET", key, headers={"range": f"bytes={start}-{end - 1}"})
        if answer.status in (200, 206) and answer.whole:
            # Who does not know ranges answers with the whole object.
            found = answer.body[start:end] if answer.status == 200 else answer.body
            if len(found) == length:
                return found
            raise Uncertain(f"GET {key}: {len(found)} bytes, {length} were asked for")
        if answer.status == 416:
            raise Uncertain(f"GET {key}: it does not have bytes {start} to {end - 1}")
        raise _error("GET", key, answer)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        found: list[ObjectInfo] = []
        while len(found) < limit:
            page, more = self._page(prefix, after, min(limit - len(found), _PAGE_KEYS_MAX))
            found += page
            if not more or not page:
                break
            after = page[-1].key
        return found

    def delete(self, key: str) -> None:
        answer = self._send("DELETE", key)
        if answer.status in (200, 204):
            return
        error = _error("DELETE", key, answer)
        if not isinstance(error, Absent):
            raise error

    def clock_skew_ms(self) -> int | None:
        return self._skew_ms

    def versioning(self) -> str:
        status = self._document({"versioning": ""}).findtext("{*}Status")
        return {None: "never", "Enabled": "enabled"}.get(status, "suspended")

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()

    def _page(self, prefix: str, after: str, limit: int) -> _Page:
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(limit)}
        if after:
            query["start-after"] = after
        page = self._document(query)
        found = [
            ObjectInfo(row.findtext("{*}Key", ""), int(row.findtext("{*}Size", "0")))
            for row in page.iterfind("{*}Contents")
        ]
        return found, page.findtext("{*}IsTruncated") == "true"

    def _document(self, query: dict[str, str]) -> ET.Element:
        answer = self._send("GET", "", query=query)
        document = _xml(answer)
        if answer.status != 200 or document is None:
            raise _error("GET", "?" + quote_query(query), answer)
        return document

    def _send(
        self,
        method: str,
        key: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        path = self._root + quote_path(key)
        asked = quote_query(query) if query else ""
        target = f"{path}?{asked}" if asked else path

        def exchange() -> Answer:
            signed = self._signer.sign(
                method,
                path,
                asked,
                {"host": self._http.host, **(headers or {})},
                body,
                self._current_credentials(),
                self._clock.now_ms(),
            )
            return self._http.exchange(method, target, signed, body)

        try:
            # With its credentials, which may have to be renewed: that asks others, and waits.
            answer = waiting.apart(exchange)
        except NoAnswer as error:
            raise Uncertain(f"{method} {key}: {error}") from error
        self._note_clock(answer.headers.get("date", ""))
        return answer

    def _current_credentials(self) -> Credentials:
        try:
            with translated("credentials"):
                frozen = self._credentials.get_frozen_credentials()
        except OSError as error:  # of the file that they are renewed from
            raise Denied(f"credentials: {error}") from error
        return Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token or "")

    def _note_clock(self, date: str) -> None:
        kept, store_ms = self._date
        if date != kept:
            try:
                store_ms = int(parsedate_to_datetime(date).timestamp()) * 1000
            except (ValueError, OverflowError):
                return
            self._date = (date, store_ms)
        # The header drops the fraction of its second: on average half of one.
        self._skew_ms = store_ms + 500 - self._clock.now_ms()


def client(address: S3Address, session: boto3.Session | None = None) -> "S3Client":
    """A boto3 client for what is asked seldom: where a bucket is, and `s3_admin`."""
    session = session or _session(address)
    style: Literal["virtual", "auto"] = "virtual" if address.condition == "oss" else "auto"
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": style},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=SILENCE_SECONDS,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={},  # `http1` knows none either: what can be set up can then be used, and only that
    )
    return session.client(
        "s3", endpoint_url=address.endpoint_url, verify=address.ca_file or None, config=config
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what a boto3 client raises into the errors of `objects`."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"].get("Code", "")
        # The answer to a HEAD has no body that could say more than its status, which stands for it.
        said = f"{what}: {status}" if code == str(status) else f"{what}: {status} {code}"
        raise _meaning(status, code)(said) from error
    except NoCredentialsError as error:
        raise Denied(f"{what}: {error}") from error
    except BotoCoreError as error:
        raise Uncertain(f"{what}: {error}") from error
    except RuntimeError as error:  # what botocore says of credentials that it renewed in vain
        raise Denied(f"{what}: {error}") from error


def _session(address: S3Address) -> boto3.Session:
    core = Core()
    core.register_component("data_loader", _DESCRIPTIONS)
    return boto3.Session(
        botocore_session=core,
        aws_access_key_id=address.access_key,
        aws_secret_access_key=address.secret_key,
        region_name=address.region,
    )


def _credentials(session: boto3.Session) -> BotoCredentials:
    """Keys that renew themselves, where they are of that kind."""
    credentials = session.get_credentials()
    if credentials is None:
        raise Denied("no credentials for the object store were found")
    return credentials


def _error(method: str, key: str, answer: Answer) -> StoreError:
    document = _xml(answer)
    code = "" if document is None else document.findtext("{*}Code", "")
    return _meaning(answer.status, code)(f"{method} {key}: {answer.status} {code}".rstrip())


def _meaning(status: int, code: str) -> type[StoreError]:
    if status in (401, 403) or code in _CODES_DENIED:
        return Denied
    if status == 404 and code == "NoSuchKey":
        return Absent
    if status in _STATUSES_REDIRECT:
        return Misconfigured
    refused = 400 <= status < 500 and status not in _STATUSES_LATER
    return Misconfigured if refused and code and code not in _CODES_UNCERTAIN else Uncertain


def _xml(answer: Answer) -> ET.Element | None:
    if not answer.whole:
        return None
    try:
        return ET.fromstring(answer.body)  # noqa: S314 - expat bounds entity expansion since 2.4.1
    except ET.ParseError:
        return None
