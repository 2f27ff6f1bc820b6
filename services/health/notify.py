"""The process that sends health's notices: `python -m services.health.notify`."""

import sys

from services.health.domain import CATALOGUE
from services.health.notices import NOTICES
from shared.notices.program import main

if __name__ == "__main__":
    sys.exit(main("health", CATALOGUE, NOTICES))
