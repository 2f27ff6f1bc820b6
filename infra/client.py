"""The runner as a client of its own platform: is it ready, and is its sample data there."""

import http.client
import ssl
from contextlib import closing

_SECONDS = 5


class Client:
    """GETs through the gateway on this machine."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls = tls

    def status(self, path: str) -> int | None:
        """The status that a GET is answered with, or None where nothing answers."""
        with closing(self._connection()) as connection:
            try:
                # Past the gateway's cache: an answer of an earlier store says nothing of this one.
                connection.request("GET", path, headers={"Commit-Seq": "0"})
                return connection.getresponse().status
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
