"""The notifier that hands messages to an SMS gateway over HTTP.

The gateway's side of the contract: it takes

    POST ‹url›
    Authorization: Bearer ‹key›
    Idempotency-Key: ‹message id›
    {"id", "service", "recipient", "kind", "text_zh", "text_en"}

finds the phone that belongs to the service's subject `recipient`, signs the text and sends it, in
the language that the person reads. Where `service` is "identity" there is nothing to find:
`recipient` is the number itself, in E.164 (docs/decisions/0071). It answers 2xx once it has the
message for good, also when it had it before, or 409 then. It remembers ids for four days at least:
until then a message may come again, whenever a sender died before it could note the answer.

A 4xx that is about the message (it is malformed, nobody has that subject) refuses it for good.
Whatever is about the asker, his key, his pace or a wrong address, passes when somebody mends it:
no message is thrown away for a key that was changed in one place only.
"""

from urllib.parse import urlsplit

import orjson

from shared.clock import Clock
from shared.notices.message import Message, Unsent
from shared.storage.http1 import Answer, Http, NoAnswer

_HAD_ALREADY = 409
_ABOUT_THE_ASKER = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 426, 429})


class HttpGateway:
    """An SMS gateway at `url`. Connections are kept; a request ends within 10 s of connecting."""

    def __init__(self, url: str, key: str, service: str, clock: Clock, *, kept: int = 8) -> None:
        parts = urlsplit(url)
        self._target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        self._service = service
        self._http = Http(f"{parts.scheme}://{parts.netloc}", clock, kept=kept)
        self._headers = {
            "host": self._http.host,
            "content-type": "application/json",
            "authorization": f"Bearer {key}",
        }

    def send(self, message: Message) -> None:
        """Hand over one message. Raises Unsent."""
        body = {
            "id": message.id,
            "service": self._service,
            "recipient": message.recipient,
            "kind": message.kind,
            "text_zh": message.text.zh,
            "text_en": message.text.en,
        }
        headers = {**self._headers, "idempotency-key": message.id}
        try:
            answer = self._http.exchange("POST", self._target, headers, orjson.dumps(body))
        except NoAnswer as error:
            raise Unsent(f"the gateway does not answer: {error}") from error
        _judge(answer)

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()


def _judge(answer: Answer) -> None:
    status = answer.status
    if 200 <= status < 300 or status == _HAD_ALREADY:
        return
    for_good = 400 <= status < 500 and status not in _ABOUT_THE_ASKER
    raise Unsent(f"the gateway answers {status}", for_good=for_good)
