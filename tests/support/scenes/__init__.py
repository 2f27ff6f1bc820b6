"""What each route of each service is asked with, so that only the caller can be wrong.

    scene = SCENES["commerce"].set(shop)           new things, of citizen-1, merchant-1, …
    scene.ask("POST /v1/orders/{order_id}/cancellation", token=…)

A new service writes a module here with its `Stage`, and adds it to SCENES; the table of
expectations is tests/http/authorisation.csv (see tests/http/test_authorisation.py).
"""

from tests.support.scenes import commerce, health, identity, tourism
from tests.support.scenes.stage import Scene, Stage

SCENES: dict[str, Stage] = {
    "commerce": commerce.STAGE,
    "tourism": tourism.STAGE,
    "health": health.STAGE,
    "identity": identity.STAGE,
}

__all__ = ["SCENES", "Scene", "Stage"]
