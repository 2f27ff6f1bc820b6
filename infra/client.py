"""A client of the platform: on this machine the runner's and that of `make token`, anywhere that of
the smoke test.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

_SECONDS = 5
_SECONDS_AWAY = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, whole; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The document in it. Raises ValueError where it is none."""
        return json.loads(self.body)


class Client:
    """Requests through the gateway on this machine."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls = tls
        self.trouble = ""
        """Why nothing answered, the last time."""

    def status(self, path: str) -> int | None:
        """The status that a GET is answered with, or None where nothing answers."""
        # Past the gateway's cache: an answer of an earlier store says nothing of this one.
        answer = self.ask("GET", path, headers={"Commit-Seq": "0"})
        return None if answer is None else answer.status

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        document: object = None,
    ) -> Answered | None:
        """What a request is answered, or None where nothing answers. It carries a form, a JSON
        document, or nothing.
        """
        sent = dict(headers or {})
        body = None if form is None else urlencode(form)
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        if document is not None:
            body = json.dumps(document)
            sent["Content-Type"] = "application/json"
        with closing(self._connection()) as connection:
            try:
                connection.request(method, path, body, sent)
                answer = connection.getresponse()
                named = {name.lower(): value for name, value in answer.getheaders()}
                return Answered(answer.status, named, answer.read())
            except (OSError, http.client.HTTPException) as error:
                self.trouble = str(error) or type(error).__name__
                return None

    def _connection(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        # The certificate is for the name that clients use; this is a look at our own loopback.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=_SECONDS, context=context
        )


class ClientAt(Client):
    """Requests to wherever the platform is; its certificate is checked, against `authorities` where
    they are given. Raises ValueError for what is no address.
    """

    def __init__(self, url: str, authorities: Path | None = None) -> None:
        split = urlsplit(url)
        if split.scheme not in {"http", "https"} or not split.hostname or split.path.strip("/"):
            raise ValueError(f"{url} is not https://host[:port]")
        super().__init__(
            split.port or (443 if split.scheme == "https" else 80), tls=split.scheme == "https"
        )
        self._host = split.hostname
        self._context = ssl.create_default_context(cafile=authorities)

    def _connection(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS_AWAY)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_SECONDS_AWAY, context=self._context
        )
