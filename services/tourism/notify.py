"""The process that sends tourism's notices: `python -m services.tourism.notify`."""

import sys

from services.tourism.domain import CATALOGUE
from services.tourism.notices import NOTICES
from shared.notices.program import main
from shared.observe.notifiers import observing

if __name__ == "__main__":
    sys.exit(main("tourism", CATALOGUE, NOTICES, observing=observing))
