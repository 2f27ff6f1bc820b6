"""The process that sends health's notices: `python -m services.health.notify`."""

import sys

from services.health.domain import CATALOGUE
from services.health.notices import NOTICES
from shared.notices.program import main
from shared.observe.notifiers import observing

if __name__ == "__main__":
    sys.exit(main("health", CATALOGUE, NOTICES, observing=observing))
