"""The application that a server runs: `gunicorn services.tourism.wsgi:app`.

The only module of the service that does anything when it is imported.
"""

from services.tourism.actions.upkeep import UPKEEP
from services.tourism.app import create_app
from services.tourism.domain import CATALOGUE
from shared import divisions, places, settings
from shared.assembly import open_condition, open_database, open_edge
from shared.auth.subjects import documents
from shared.clock import SystemClock
from shared.observe.observer import observing

_NAME = "tourism"

_settings = settings.load()
_clock = SystemClock()
_observer = observing(settings.load_observation(), _settings, _NAME, _clock)
_database = open_database(_settings, _NAME, CATALOGUE, _clock, chore=UPKEEP, observer=_observer)
_divisions = divisions.read(divisions.FILE)

_edge = open_edge(_settings, _NAME, _clock, observer=_observer)

app = create_app(
    _database,
    places.read(divisions.REFERENCE / "gansu_attractions.json", _divisions),
    _divisions,
    documents(_settings.subject_key),
    _edge,
    open_condition(_settings, _NAME, _database, _edge, _observer),
)
