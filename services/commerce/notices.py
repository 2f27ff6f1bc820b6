"""What commerce tells people of its events; `shared.notices.mapping` says by which rules."""

from shared.language import Words
from shared.notices.mapping import Happening, Notice, Notices, silent

_PLACED = Words(
    "您的订单已提交，详情请见“智慧甘肃”。",
    "Your order has been placed. Smart Gansu has the details.",
)


def _order_placed(happening: Happening) -> Notice:
    order = happening.document("orders", happening.data["order"])
    return Notice(order["citizen"], _PLACED)


NOTICES: Notices = {
    "order.placed": _order_placed,
    # Only the citizen cancels an order, who has the answer; one is present when goods change hands.
    "order.cancelled": silent,
    "order.fulfilled": silent,
}
