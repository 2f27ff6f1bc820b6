"""The process that sends commerce's notices: `python -m services.commerce.notify`."""

import sys

from services.commerce.domain import CATALOGUE
from services.commerce.notices import NOTICES
from shared.notices.program import main
from shared.observe.notifiers import observing

if __name__ == "__main__":
    sys.exit(main("commerce", CATALOGUE, NOTICES, observing=observing))
