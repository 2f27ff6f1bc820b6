"""What the doctor says: one thing about the store, what it means and what to do."""

from dataclasses import dataclass
from typing import Literal

from shared.storage.objects import Denied, Misconfigured, StoreError

Level = Literal["well", "note", "wrong"]
"""Of which only `wrong` keeps a platform from running safely."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is short and the same in every release; `said` and `do` are sentences for a person,
    `do` empty where there is nothing to do.
    """

    level: Level
    about: str
    said: str
    do: str = ""


_SIGNS = {
    "Hostname mismatch": "Its certificate is for another name: use that in GANSU_STORE_ENDPOINT.",
    "IP address mismatch": "Its certificate is for a name: use that in GANSU_STORE_ENDPOINT.",
    "certificate has expired": "Renew the store's certificate, or set this machine's clock.",
    "certificate verify failed": "Name the file of the authority that signed its certificate by"
    " GANSU_STORE_CA_FILE.",
    "WRONG_VERSION_NUMBER": "It does not speak TLS there: is it http, or another port?",
    "SSL": "It and this machine do not agree about TLS; its log says why.",
    "refused": "Nothing listens at that address: is it the right port, and does the store run?",
    "not known": "No such name: correct GANSU_STORE_ENDPOINT, or the machine's DNS.",
    "name resolution": "Names cannot be resolved here: see to the machine's DNS.",
    "timed out": "Something drops the packets: a firewall, or the wrong address.",
}
"""What to do by what an error says: the first that it has."""


def trouble(about: str, error: StoreError) -> Finding:
    """What a failed request means."""
    return Finding("wrong", about, f"{error.told()}.", remedy(error))


def remedy(error: StoreError) -> str:
    """What to do about a failed request."""
    said = str(error)
    if isinstance(error, Denied):
        return _denied(said)
    if isinstance(error, Misconfigured):
        if "NoSuchBucket" in said:
            return "Make the bucket: python -m infra.provision. Or correct its name."
        return "Correct GANSU_STORE_ENDPOINT, _REGION and the bucket's name."
    if said.endswith(": 404"):  # a store names what it lacks
        return "What answers there is no object store: correct GANSU_STORE_ENDPOINT."
    for sign, what in _SIGNS.items():
        if sign in said:
            return what
    return "Look at the store's own log and at the network between; then ask again."


def _denied(said: str) -> str:
    if "TooSkewed" in said or "Expired" in said:
        return "The clocks are too far apart: set this machine's, or the store's, by NTP."
    if "Signature" in said or "InvalidAccessKeyId" in said or "no credentials" in said:
        return "Correct GANSU_STORE_ACCESS_KEY and GANSU_STORE_SECRET_KEY."
    return (
        "Give these credentials the program's policy: python -m infra.provision policies"
        " --service ‹name›, or --policies to set it at the buckets. If they are one program's,"
        " examine them as that: --service ‹name›."
    )
