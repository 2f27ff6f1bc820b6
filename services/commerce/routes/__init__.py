"""HTTP of commerce: parse, call one action, render. All its routes, put together."""

from services.commerce.routes import orders, pictures, places, products, stock, stores
from services.commerce.routes.parts import PREFIX, TITLE, Commerce
from shared.web.routes import Router

router = Router[Commerce](
    PREFIX,
    TITLE,
    [
        *places.router.routes,
        *stores.router.routes,
        *products.router.routes,
        *pictures.router.routes,
        *stock.router.routes,
        *orders.router.routes,
    ],
)
