"""Names that are forgotten, in the immutable journal too: the key goes first, then the document.

    def change(tx, erased):
        forget_name(tx, account, erased)
        ...

    erasing(vault, lambda erased: database.transact(lambda tx: change(tx, erased)))

A change does no I/O. So one that comes upon a name whose key still stands is given up; the key is
erased, and it runs again. What a crash between them leaves nobody can read, and whoever asks next
completes it.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from shared.errors import BUSY, Refused
from shared.sealing import Vault
from shared.storage.access import Transaction

T = TypeVar("T")

Erased = Mapping[str, str]
"""What was sealed of the accounts whose keys have gone."""


class _KeyFirst(Exception):  # noqa: N818 - an answer
    """A name that stands, and whose key may stand as well."""

    def __init__(self, account: str, sealed: str) -> None:
        super().__init__()
        self.account = account
        self.sealed = sealed


def erasing(vault: Vault, run: Callable[[Erased], T]) -> T:
    """Run what forgets names, for as often as it comes upon one more: each is erased once. Raises
    what it raises, and Refused(BUSY).
    """
    erased: dict[str, str] = {}
    while True:
        try:
            return run(erased)
        except _KeyFirst as due:
            vault.erase(due.account)
            erased[due.account] = due.sealed


def forget_name(tx: Transaction, account: str, erased: Erased) -> None:
    """Forget an account's name, if it has one: its number is free. Raises Refused(BUSY)."""
    found = tx.get("names", account)
    if found is None:
        return
    sealed = found.body["sealed"]
    if account not in erased:
        raise _KeyFirst(account, sealed)
    if erased[account] != sealed:
        # Verified anew since, maybe under a key that stands: that one has to go as well.
        raise Refused(BUSY, retry_after_seconds=1)
    tx.delete("id_numbers", found.body["digest"])
    tx.delete("names", account)
