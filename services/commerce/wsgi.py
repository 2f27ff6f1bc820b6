"""The application that a server runs: `gunicorn services.commerce.wsgi:app`.

The only module of the service that does anything when it is imported.
"""

from pathlib import Path

from services.commerce import divisions
from services.commerce.app import create_app
from services.commerce.domain import CATALOGUE
from shared import settings
from shared.assembly import open_database, open_edge
from shared.clock import SystemClock

_NAME = "commerce"
_DIVISIONS = Path(__file__).parents[2] / "data" / "reference" / "gansu_divisions.csv"

_settings = settings.load()
_clock = SystemClock()
_database = open_database(_settings, _NAME, CATALOGUE, _clock)

app = create_app(
    _database,
    divisions.read(_DIVISIONS),
    open_edge(_settings, _NAME, _clock),
    _database.troubles,
)
