"""What is counted within a window: codes that are sent, questions and tokens. Each transaction that
does one more counts it, so that the bound holds however many ask at once.
"""

from services.identity.domain import sign_ins
from services.identity.domain.sign_ins import LIMITS, OVERALL, Limit
from shared.storage.access import Transaction
from shared.times import MINUTE_MS


def count(tx: Transaction, key: str, limit: Limit) -> None:
    """One more under a key. Raises Refused(TOO_MANY_CODES)."""
    found = tx.get("counts", key)
    body = None if found is None else found.body
    tx.put("counts", key, sign_ins.count(body, limit, tx.now_ms))


def count_code(tx: Transaction, phone: str, codes_per_minute: int) -> None:
    """One code more that is sent to a number (its digest), whatever it is for. Raises
    Refused(TOO_MANY_CODES).
    """
    for name, limit in LIMITS.items():
        if name.startswith("number"):
            count(tx, f"{name}.{phone}", limit)
    count(tx, OVERALL, Limit(codes_per_minute, MINUTE_MS))
