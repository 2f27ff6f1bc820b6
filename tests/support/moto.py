"""moto's S3 on loopback, one request at a time: it is not atomic under threads."""

import threading
from types import TracebackType
from typing import Self

from infra import moto_store


class MotoServer:
    """An S3 that forgets everything when it ends."""

    def __init__(self) -> None:
        self._server = moto_store.server(0)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
