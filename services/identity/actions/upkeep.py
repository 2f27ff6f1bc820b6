"""What identity tidies while it serves: its keys, and what is over."""

from services.identity.actions.keys import Keys
from shared.storage.access import Chore, ReadView, Transaction

REMOVED_MAX = 50
"""Documents of one kind that one transaction removes."""

_ENDING = (
    ("grants", "grants_by_end"),
    ("sign_ins", "sign_ins_by_end"),
    ("counts", "counts_by_end"),
    ("staff_failures", "staff_failures_by_end"),
    ("role_requests", "role_requests_by_end"),
    ("delegations", "delegations_by_end"),
    ("acts", "acts_by_end"),
)


def upkeep(own: Keys) -> Chore:
    """Keys made in time; whatever ends removed once it is over."""

    def due(view: ReadView, now_ms: int) -> bool:
        if own.next_from_ms(view, now_ms) is not None:
            return True
        indexes = [index for _, index in _ENDING] + ["keys_by_end"]
        return any(view.find(index, (), until=now_ms, limit=1) for index in indexes)

    def change(tx: Transaction) -> None:
        own.roll(tx)
        for collection, index in _ENDING:
            for hit in tx.find(index, (), until=tx.now_ms, limit=REMOVED_MAX):
                tx.delete(collection, hit.document.key)

    return Chore(due, change)
