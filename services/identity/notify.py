"""The process that sends identity's notices: `python -m services.identity.notify`."""

import sys

from services.identity.domain import CATALOGUE
from services.identity.domain.secrets import sealing_of
from services.identity.notices import NOTICES, Unsealing
from shared.clock import Clock, SystemClock
from shared.notices.message import Notifier
from shared.notices.program import main
from shared.observe.notifiers import observing
from shared.settings import IdentityNotifierSettings, load_identity_notifier

IDLE_SECONDS = 1.0
"""Somebody waits for every message, with the page open."""


def _unsealing(settings: IdentityNotifierSettings, notifier: Notifier) -> Notifier:
    clock: Clock = SystemClock()
    return Unsealing(sealing_of(settings.sealing_key, clock.random), clock, notifier)


if __name__ == "__main__":
    sys.exit(
        main(
            "identity",
            CATALOGUE,
            NOTICES,
            load=load_identity_notifier,
            wrapped=_unsealing,
            observing=observing,
            idle_seconds=IDLE_SECONDS,
        )
    )
