"""What health's routes share: their parts, who may call, how long answers may be kept."""

from dataclasses import dataclass

from services.health.actions.keepers import Staff
from shared.auth.subjects import SubjectOf
from shared.clock import Clock
from shared.divisions import Divisions
from shared.language import Words
from shared.places import Places
from shared.storage.access import Database
from shared.web.routes import Call, Public, Router

PREFIX = "/health"
TITLE = Words("智慧甘肃 健康", "Smart Gansu: health")

NOTICE_BOARD = Public(max_age_seconds=2, stale_seconds=60)
"""What is free: short enough to book by, stale rather than nothing on a bad day."""

REFERENCE = Public(max_age_seconds=3600, stale_seconds=86_400)

CITIZEN = ("citizen",)
STAFF = ("hospital_staff", "operator")
CLINIC = ("clinician", *STAFF)
OPERATOR = ("operator",)


@dataclass(frozen=True, slots=True)
class Health:
    """What the routes work with. `subject_of` is for naming staff by their accounts."""

    database: Database
    hospitals: Places
    divisions: Divisions
    subject_of: SubjectOf
    clock: Clock


def new_router() -> Router[Health]:
    """A router for one module's routes; `routes/__init__.py` puts them together."""
    return Router[Health](PREFIX, TITLE)


def staff_of(call: Call[Health]) -> Staff:
    """The caller as somebody who acts for hospitals."""
    return Staff(call.identity.subject, operator="operator" in call.identity.roles)
