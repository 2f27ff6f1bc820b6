"""The notifier of development: a line on the console for each message. Nobody is told."""

from typing import TextIO

from shared.notices.message import Message


class Console:
    """Writes messages to `out`. Its settings refuse it outside development."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._say("development: messages are shown here and sent to nobody")

    def send(self, message: Message) -> None:
        """Show one message, in both languages, on one line."""
        text = message.text
        self._say(f"{message.kind} {message.id} to {message.recipient}: {text.zh} / {text.en}")

    def _say(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
