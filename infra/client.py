"""A client of the platform on this machine: the runner's, and that of `make token`."""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode

_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, whole; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Requests through the gateway on this machine."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls = tls

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
    ) -> Answered | None:
        """What a request is answered, or None where nothing answers."""
        sent = dict(headers or {})
        body = None if form is None else urlencode(form)
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        with closing(self._connection()) as connection:
            try:
                connection.request(method, path, body, sent)
                answer = connection.getresponse()
                named = {name.lower(): value for name, value in answer.getheaders()}
                return Answered(answer.status, named, answer.read())
            except (OSError, http.client.HTTPException):
                return None

    def _connection(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        # The certificate is for the name that clients use; this is a look at our own loopback.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=_SECONDS, context=context
        )
