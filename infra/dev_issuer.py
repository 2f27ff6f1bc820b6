"""The development issuer as a server runs it: `gunicorn infra.dev_issuer:app`.

Importing it starts it, as with the services' wsgi modules; all it does is in infra/issuer.py.
"""

from infra.issuer import create_app
from shared import settings
from shared.clock import SystemClock

app = create_app(settings.load_issuer(), SystemClock())
