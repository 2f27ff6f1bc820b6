"""The application that a server runs: `gunicorn services.commerce.wsgi:app`.

The only module of the service that does anything when it is imported.
"""

from services.commerce.app import create_app
from services.commerce.domain import CATALOGUE
from services.commerce.pictures import Gallery
from shared import divisions, settings
from shared.assembly import open_condition, open_database, open_edge, open_objects
from shared.clock import SystemClock
from shared.observe.observer import observing
from shared.storage.location import PICTURES

_NAME = "commerce"

_settings = settings.load()
_clock = SystemClock()
_observer = observing(settings.load_observation(), _settings, _NAME, _clock)
_database = open_database(_settings, _NAME, CATALOGUE, _clock, observer=_observer)

_edge = open_edge(_settings, _NAME, _clock, observer=_observer)

app = create_app(
    _database,
    divisions.read(divisions.FILE),
    Gallery(*open_objects(_settings, _NAME, PICTURES, _clock, _observer), _clock),
    _settings.orders_a_minute,
    _edge,
    open_condition(_settings, _NAME, _database, _edge, _observer),
)
