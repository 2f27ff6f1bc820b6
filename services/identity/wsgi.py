"""The application that a server runs: `gunicorn services.identity.wsgi:app`.

The only module of the service that does anything when it is imported.
"""

import logging

from services.identity.actions.keys import Keys
from services.identity.actions.names import Registry
from services.identity.actions.oauth import Issuing
from services.identity.actions.upkeep import upkeep
from services.identity.app import create_app
from services.identity.domain import CATALOGUE
from services.identity.domain.names import Verifier
from services.identity.domain.secrets import Secrets
from services.identity.routes.failures import SIGN_IN_FAILURES
from services.identity.routes.parts import Identity
from services.identity.verifier import DevelopmentVerifier, HttpVerifier
from shared import settings
from shared.assembly import open_condition, open_database, open_edge, open_objects
from shared.clock import SystemClock
from shared.observe.observer import observing
from shared.sealing import Vault
from shared.storage.location import KEYS

_NAME = "identity"

_settings = settings.load_identity()
_clock = SystemClock()
_observer = observing(settings.load_observation(), _settings, _NAME, _clock)
_secrets = Secrets(_settings.subject_key, _settings.token_key, _settings.sealing_key, _clock.random)
_keys = Keys(_secrets.sealing)
_issuing = Issuing(
    _secrets,
    _keys,
    _settings.issuer,
    _settings.token_seconds,
    staff_by_number=_settings.staff_by_number,
)
_database = open_database(
    _settings, _NAME, CATALOGUE, _clock, chore=upkeep(_keys), observer=_observer
)

_verifier: Verifier = (
    HttpVerifier(_settings.verifier_url, _settings.verifier_key, _clock)
    if _settings.verifier_url
    else DevelopmentVerifier(_settings.environment)
)
_objects = open_objects(_settings, _NAME, KEYS, _clock, _observer)
_vault = Vault(*_objects, _settings.master_keys, _clock)
_registry = Registry(_vault, _verifier, _secrets)

# The library tells whole tokens at its lowest level, whoever turns that on.
logging.getLogger("authlib").setLevel(logging.WARNING)

# Accounts are identity's own: here, and nowhere else, callers are account ids.
_edge = open_edge(
    _settings,
    _NAME,
    _clock,
    subject_of=str,
    observer=_observer,
    sign_in_failures=SIGN_IN_FAILURES,
)

app = create_app(
    Identity(_database, _issuing, _clock, _settings.codes_per_minute, _registry),
    _edge,
    open_condition(_settings, _NAME, _database, _edge, _observer),
)
