"""The HTTP/1.1 client under the object store: one exchange at a time, under a deadline.

An exchange ends within its limits whatever the server does: `CONNECT_SECONDS` to connect,
`SILENCE_SECONDS` without a byte, `TOTAL_SECONDS` in all. http.client and urllib3 have no limit in
all: a server that sends a byte every few seconds holds them for ever. Nor do they send head and
body of an upload together, which costs a round trip. Nothing is ever sent twice.

It speaks what object stores speak: answers with a Content-Length or in chunks. There is no
redirect, no cookie and no forward proxy.
"""

import re
import select
import socket
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.clock import Clock

CONNECT_SECONDS = 2.0
SILENCE_SECONDS = 5.0
TOTAL_SECONDS = 10.0

_IDLE_SECONDS_MAX = 4.0  # stores close idle connections after 5 s and more
_HEAD_BYTES_MAX = 64 << 10
_READ_BYTES = 64 << 10
_JOIN_BYTES_MAX = 1 << 20

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?")


class NoAnswer(Exception):  # noqa: N818 - what it says is that an outcome is unknown
    """No answer, or nothing that can be understood as one; the request may have been applied."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. Header names are lower-case.

    `whole` is false where the connection broke, or the time ran out, inside the body: the status
    is known, the body is not.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


class Http:
    """Kept connections to one origin, such as `https://store.example:9000`. Thread-safe.

    Belongs to one process: made after fork. `kept` bounds how many idle connections stay open;
    `ca_file` replaces the system's certificate authorities.
    """

    def __init__(self, origin: str, clock: Clock, *, kept: int = 32, ca_file: str = "") -> None:
        parts = urlsplit(origin)
        self.host = parts.netloc
        self._clock = clock
        secure = parts.scheme == "https"
        # Reading the authorities takes longer than all else here.
        self._tls = ssl.create_default_context(cafile=ca_file or None) if secure else None
        self._name = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._kept = kept
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()

    def exchange(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send one request and read its answer. Raises NoAnswer."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {target} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode()
        deadline = self._clock.monotonic() + TOTAL_SECONDS
        try:
            connection = self._take(deadline)
        except OSError as error:
            raise NoAnswer(f"cannot connect: {error}") from error
        reusable = False
        try:
            connection.deadline = deadline
            connection.send(head, body)
            answer, reusable = connection.read_answer()
        except OSError as error:
            raise NoAnswer(f"connection lost: {error}") from error
        finally:
            self._give_back(connection, reusable)
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self, deadline: float) -> "_Connection":
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        return _Connection(self._connect(deadline), self._clock)

    def _connect(self, deadline: float) -> socket.socket:
        sock = socket.create_connection((self._name, self._port), timeout=CONNECT_SECONDS)
        try:
            # A request leaves in one piece; without this its last packet may wait 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return sock
            sock.settimeout(min(CONNECT_SECONDS, _time_left(deadline, self._clock)))
            return self._tls.wrap_socket(sock, server_hostname=self._name)
        except BaseException:
            sock.close()
            raise

    def _give_back(self, connection: "_Connection", reusable: bool) -> None:  # noqa: FBT001
        if reusable:
            connection.idle_since = self._clock.monotonic()
            with self._lock:
                if len(self._idle) < self._kept:
                    self._idle.append(connection)
                    return
        connection.close()


class _Connection:
    """One connection, and the bytes that were read ahead on it."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self.deadline = 0.0
        self.idle_since = 0.0
        self._sock = sock
        self._clock = clock
        self._ahead = b""
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def is_usable(self) -> bool:
        """Whether the server has neither closed it nor said anything unasked."""
        fresh = self._clock.monotonic() - self.idle_since < _IDLE_SECONDS_MAX
        return fresh and not self._poll.poll(0)

    def close(self) -> None:
        self._sock.close()

    def send(self, head: bytes, body: bytes) -> None:
        self._sock.settimeout(_time_left(self.deadline, self._clock))
        if len(body) < _JOIN_BYTES_MAX:
            self._sock.sendall(head + body)
        else:
            self._sock.sendall(head)
            self._sock.sendall(body)

    def read_answer(self) -> tuple[Answer, bool]:
        """The answer, and whether the connection can carry another request."""
        status, headers = self._read_head()
        while status < 200:
            status, headers = self._read_head()
        try:
            body = self._read_body(status, headers)
        except (OSError, NoAnswer):
            return Answer(status, headers, b"", whole=False), False
        closing = headers.get("connection", "").lower() == "close"
        return Answer(status, headers, body, whole=True), not closing and not self._ahead

    def _read_head(self) -> tuple[int, dict[str, str]]:
        first, *lines = self._read_until(b"\r\n\r\n", _HEAD_BYTES_MAX).split(b"\r\n")
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            raise NoAnswer(f"no HTTP answer: {first[:40]!r}")
        headers = {}
        for line in lines:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(status[1]), headers

    def _read_body(self, status: int, headers: dict[str, str]) -> bytes:
        if status == 204:
            return b""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = headers.get("content-length", "")
        if not length.isdecimal():
            # A body that ends where the connection does cannot be told from a broken one.
            raise NoAnswer("an answer of unknown length")
        return self._read_exactly(int(length))

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := self._read_chunk_size():
            chunks.append(self._read_exactly(size))
            self._read_until(b"\r\n", 2)
        while self._read_until(b"\r\n", _HEAD_BYTES_MAX):
            pass  # trailers say nothing that is needed
        return b"".join(chunks)

    def _read_chunk_size(self) -> int:
        line = self._read_until(b"\r\n", 1024).partition(b";")[0].strip()
        try:
            return int(line, 16)
        except ValueError as error:
            raise NoAnswer("a chunk without a size") from error

    def _read_until(self, mark: bytes, bytes_max: int) -> bytes:
        """What stands before `mark`, which is taken too."""
        while (end := self._ahead.find(mark)) < 0 and len(self._ahead) <= bytes_max:
            self._ahead += self._receive()
        if not 0 <= end <= bytes_max:
            raise NoAnswer("a line or head without an end")
        found, self._ahead = self._ahead[:end], self._ahead[end + len(mark) :]
        return found

    def _read_exactly(self, size: int) -> bytes:
        parts = [self._ahead]
        missing = size - len(self._ahead)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        read = b"".join(parts)
        self._ahead = read[size:]
        return read[:size]

    def _receive(self) -> bytes:
        self._sock.settimeout(min(SILENCE_SECONDS, _time_left(self.deadline, self._clock)))
        received = self._sock.recv(_READ_BYTES)
        if not received:
            raise NoAnswer("the server closed the connection")
        return received


def _time_left(deadline: float, clock: Clock) -> float:
    left = deadline - clock.monotonic()
    if left <= 0:
        raise NoAnswer("no answer in time")
    return left
