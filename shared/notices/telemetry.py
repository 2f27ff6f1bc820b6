"""`Telemetry`: what a notifier tells of itself to whoever observes it."""

import threading
from collections.abc import Callable
from typing import Literal, Protocol

Told = Literal["sent", "later", "refused", "given_up"]


class Telemetry(Protocol):
    """Told by the notifier. Thread-safe."""

    def message(self, outcome: Told) -> None:
        """What became of an attempt, or of a message that was tried for too long."""

    def level(self) -> None:
        """All of the journal so far was read, and all that is due was seen to."""


class _Silent:
    def message(self, outcome: Told) -> None: ...
    def level(self) -> None: ...


SILENT: Telemetry = _Silent()

Observing = Callable[[str, threading.Event], Telemetry]
"""Begins to observe a notifier, by its name, until it stops. Raises SettingsError."""


def unobserved(_name: str, _stopping: threading.Event) -> Telemetry:
    return SILENT
