"""Scopes: what an app may be allowed to do, in which service, and for people of which roles.

A scope is granted where the app asks for it, its registration allows it, and the account has one of
the roles that it is for. The services whose scopes a token has are its audience: one that leaks
from a service opens no other (RFC 9068, section 3).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OPENID = "openid"
"""Asks for an ID token (OpenID Connect Core, section 3.1.2.1); for everybody."""

ROLES = (
    "citizen",
    "station_agent",
    "merchant",
    "scenic_staff",
    "gate",
    "clinician",
    "hospital_staff",
    "operator",
    "security",
    "auditor",
    "partner",
)
"""What an account, or a client that acts for itself, can be."""

PEOPLE = tuple(role for role in ROLES if role not in {"gate", "partner"})
"""What accounts are; the others are clients' alone."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A service's scope, and the roles that it is for."""

    service: str
    roles: frozenset[str]


def _for(service: str, *roles: str) -> Scope:
    return Scope(service, frozenset(roles or ROLES))


SCOPES: Mapping[str, Scope] = {
    OPENID: _for("identity"),
    "account:read": _for("identity"),
    "account:write": _for("identity", *PEOPLE),
    "staff:write": _for("identity", "operator", "security"),
    "roles:read": _for("identity", "operator", "security", "auditor"),
    "roles:write": _for("identity", "operator", "security"),
    "delegations:read": _for("identity", "citizen", "station_agent"),
    "delegations:write": _for("identity", "citizen", "station_agent", "operator"),
    "clients:read": _for("identity", "operator"),
    "clients:write": _for("identity", "operator"),
    "orders:read": _for("commerce", "citizen", "operator"),
    "orders:write": _for("commerce", "citizen", "operator"),
    "stores:read": _for("commerce", "merchant", "operator"),
    "stores:write": _for("commerce", "merchant", "operator"),
    "tickets:read": _for("tourism", "citizen"),
    "tickets:write": _for("tourism", "citizen"),
    "tickets:check": _for("tourism", "gate", "scenic_staff", "operator"),
    "sessions:read": _for("tourism", "scenic_staff", "operator"),
    "sessions:write": _for("tourism", "scenic_staff", "operator"),
    "appointments:read": _for("health", "citizen"),
    "appointments:write": _for("health", "citizen"),
    "appointments:check": _for("health", "clinician", "hospital_staff", "operator"),
    "schedules:read": _for("health", "clinician", "hospital_staff", "operator"),
    "schedules:write": _for("health", "hospital_staff", "operator"),
}


OFFICE = frozenset(
    name for name in SCOPES if name.partition(":")[0] in {"staff", "roles", "clients"}
)
"""Scopes of power over the platform: for the office's own app, which no operator makes or changes.
An operator's app could hand on what an officer signed in for."""


def named(text: str) -> list[str]:
    """The scopes that a space-separated text names (RFC 6749, section 3.3), each once."""
    return list(dict.fromkeys(text.split()))


def granted(asked: Iterable[str], roles: Iterable[str]) -> list[str]:
    """Of the scopes that are asked for, those that somebody with these roles gets."""
    theirs = frozenset(roles)
    return [name for name in asked if name in SCOPES and SCOPES[name].roles & theirs]


def audience(scopes: Iterable[str]) -> list[str]:
    """The services that a token with these scopes is for."""
    return sorted({SCOPES[name].service for name in scopes})
