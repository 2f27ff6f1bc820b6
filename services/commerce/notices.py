"""What commerce tells people of its events; `shared.notices.mapping` says by which rules."""

from shared.language import Words
from shared.notices.mapping import Happening, Notice, Notices, silent

_PLACED = Words(
    "您的订单已提交，详情请见“智慧甘肃”。",
    "Your order has been placed. Smart Gansu has the details.",
)


_CANCELLED = Words(
    "您的订单已由代办人取消，详情请见“智慧甘肃”。",
    "Your order was cancelled by somebody who acts for you. Smart Gansu has the details.",
)


_REFUSED = Words(
    "很抱歉，您的订单中有一家店铺不能交货，详情请见“智慧甘肃”。",
    "We are sorry: a store cannot deliver its part of your order. Smart Gansu has the details.",
)


def _order_placed(happening: Happening) -> Notice:
    order = happening.document("orders", happening.data["order"])
    return Notice(order["citizen"], _PLACED)


def _order_cancelled(happening: Happening) -> Notice | None:
    """Told where somebody else did it: who cancels an order has the answer."""
    if "acted_by" not in happening.data:
        return None
    order = happening.document("orders", happening.data["order"])
    return Notice(order["citizen"], _CANCELLED)


def _order_refused(happening: Happening) -> Notice:
    order = happening.document("orders", happening.data["order"])
    return Notice(order["citizen"], _REFUSED)


NOTICES: Notices = {
    "order.placed": _order_placed,
    "order.cancelled": _order_cancelled,
    "order.refused": _order_refused,
    # One is present when goods change hands.
    "order.fulfilled": silent,
    # Nobody's affair but the store's: they say who keeps what.
    "product.added": silent,
    "product.changed": silent,
    "stock.adjusted": silent,
    "stock.counted": silent,
}
