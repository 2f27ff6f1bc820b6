"""What identity proves and hides by its own keys: digests, codes, tokens, secrets, seals.

Codes and tokens that others hold follow from a document's key, a number and a key of identity's
own: no digest of them is stored, a made-up one is told before anything is looked up, and the same
one is made again for whoever has to be answered again.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from services.identity.domain.sealing import Sealing
from services.identity.domain.sign_ins import CODE_DIGITS

_CODE = re.compile(r"(grant_[0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
_INVITATION = re.compile(r"(account_[0-9a-f]{32})\.([0-9]{1,9})\.([A-Za-z0-9_-]{43})")
_BROWSER = re.compile(r"(account_[0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
_REFRESH = re.compile(r"(grant_[0-9a-f]{32})\.([0-9]{1,9})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an invitation says: whose it is, and which of theirs."""

    account: str
    number: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh token says: the grant, and which of its tokens this is."""

    grant: str
    number: int


class Secrets:
    """`digest_key` finds what is stored and never changes; `token_key` makes what others hold,
    `sealing_key` hides. Each has 32 bytes at least, and none is used as it is.
    """

    def __init__(
        self,
        digest_key: bytes,
        token_key: bytes,
        sealing_key: bytes,
        random: Callable[[int], bytes],
    ) -> None:
        self._digest_key = digest_key
        self._token_key = token_key
        self._random = random
        self.sealing = sealing_of(sealing_key, random)

    # Digests of what is stored

    def phone(self, number: str) -> str:
        """A mobile number's digest. Numbers can be counted through, so it is keyed."""
        return f"tel_{_text(_mac(self._digest_key, b'phone', number))}"

    def address(self, address: str) -> str:
        """The digest of a client's network address, to count by."""
        return f"net_{_text(_mac(self._digest_key, b'address', address))}"

    def known(self, kind: str, text: str) -> str:
        """The digest of something that is found by what it says: an ID number, a staff's name."""
        return f"{kind}_{_text(_mac(self._digest_key, b'known', kind, text))}"

    def sign_in(self, page: str, number: str) -> str:
        """The one sign-in that a page and a number can have."""
        return f"sign_in_{_mac(self._digest_key, b'sign-in', page, number)[:16].hex()}"

    def code(self, sign_in: str, code: str) -> str:
        """The digest of the code that was sent for a sign-in."""
        return _text(_mac(self._digest_key, b"code", sign_in, code))

    def new_code(self) -> str:
        """A code to be sent: every one as likely as any other."""
        return f"{int.from_bytes(self._random(16), 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"

    def recovery_codes(self, count: int, size: int) -> list[str]:
        """Codes for whoever loses their second factor."""
        return [self.fresh(size).hex() for _ in range(count)]

    def fresh(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
        return self._random(size)

    # What others hold

    def authorization_code(self, grant: str) -> str:
        return f"{grant}.{self._held(b'authorization', grant)}"

    def grant_of(self, code: str) -> str | None:
        """The grant that an authorization code is of; None for one that was never made."""
        read = _CODE.fullmatch(code)
        if read is None or not same(read[2], self._held(b"authorization", read[1])):
            return None
        return read[1]

    def refresh_token(self, grant: str, number: int) -> str:
        return f"{grant}.{number}.{self._held(b'refresh', grant, str(number))}"

    def refresh_of(self, token: str) -> Refresh | None:
        """What a refresh token says; None for one that was never made."""
        read = _REFRESH.fullmatch(token)
        if read is None or not same(read[3], self._held(b"refresh", read[1], read[2])):
            return None
        return Refresh(read[1], int(read[2]))

    def invitation(self, account: str, number: int) -> str:
        return f"{account}.{number}.{self._held(b'invitation', account, str(number))}"

    def invitation_of(self, text: str) -> Invitation | None:
        """What an invitation says; None for one that was never made."""
        read = _INVITATION.fullmatch(text)
        if read is None or not same(read[3], self._held(b"invitation", read[1], read[2])):
            return None
        return Invitation(read[1], int(read[2]))

    def browser(self, account: str) -> str:
        """What a browser keeps from which one of the staff has signed in."""
        return f"{account}.{self._held(b'browser', account)}"

    def browser_of(self, text: str) -> str | None:
        """The account that a browser's text is of; None for one that was never made."""
        read = _BROWSER.fullmatch(text)
        if read is None or not same(read[2], self._held(b"browser", read[1])):
            return None
        return read[1]

    def client_secret(self, client: str, number: int) -> str:
        return self._held(b"client", client, str(number))

    def _held(self, purpose: bytes, *parts: str) -> str:
        return _text(_mac(self._token_key, purpose, *parts))


def sealing_of(sealing_key: bytes, random: Callable[[int], bytes]) -> Sealing:
    """What is sealed and unsealed with: of identity and of its notifier, who share the key."""
    return Sealing(_mac(sealing_key, b"sealing"), random)


def same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in the same time whatever they are."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _mac(key: bytes, purpose: bytes, *parts: str) -> bytes:
    message = b"\0".join([purpose, *(part.encode() for part in parts)])
    return hmac.digest(key, message, hashlib.sha256)


def _text(mac: bytes) -> str:
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
