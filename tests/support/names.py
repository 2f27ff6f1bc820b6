"""A name server for one name: it answers with whatever addresses a test gives it."""

import socket
import struct
import threading
from types import TracebackType
from typing import Self

_A = 1


class NameServer:
    """Answers over UDP on a free port of 127.0.0.1. Use as a context manager.

    `addresses` may be changed at any time, as containers come and go.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            asked, client = self._socket.recvfrom(512)
            if not asked:
                return
            self._socket.sendto(self._answer(asked), client)

    def _answer(self, asked: bytes) -> bytes:
        """RFC 1035, 4.1: the question again, and an A record for each address."""
        end = asked.index(b"\0", 12) + 5
        question = asked[12:end]
        [kind] = struct.unpack("!H", question[-4:-2])
        found = self.addresses if kind == _A else ()
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, _A, 1, 60, 4) + socket.inet_aton(address)
            for address in found
        )
        head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        return head + question + records
