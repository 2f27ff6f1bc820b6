"""The beginning of a platform: its first security officers and the app that they sign in to, where
nobody is there yet who could give them their role or make the app known.

    begun = bootstrap.begin(database, secrets, names, office)    once for a journal
    bootstrap.again(database, secrets)                           until two have enrolled
    bootstrap.put_office(database, office)                       when that app is to be otherwise

Two at least, since one alone can give no power (domain/roles.py). What is done stands in the
journal as a change of roles, and of a client, by `bootstrap`, where the auditor reads it like any
other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.identity.actions.audit import note
from services.identity.domain import accounts, clients, roles, staff
from services.identity.domain.clients import Registration
from services.identity.domain.secrets import Secrets
from shared.errors import Problem, Refused, invalid
from shared.storage.access import Database, Transaction

BY = "bootstrap"
"""Who gives and invites where nobody else can: no account is called so."""
REASON = "平台启用 / the platform begins"

OFFICERS_MIN, OFFICERS_MAX = 2, 9
ENROLLED_ENOUGH = 2
"""So many officers need no help from outside: they give powers, and take them."""

OFFICERS_THERE = Problem(
    "officers-there",
    409,
    "已有安全管理员",
    "There are security officers already: whoever is to be one is asked for by them",
)
NOBODY_INVITED = Problem(
    "nobody-invited", 409, "没有待启用的安全管理员", "No officer waits to enrol for the first time"
)


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody who may enrol, and by what. `name` is empty where it is not known any more."""

    account: str
    name: str
    invitation: str


@dataclass(frozen=True, slots=True)
class Office:
    """The app that staff sign in to; its registration says that it is the office's own."""

    client: str
    registration: Registration


def begin(
    database: Database, secrets: Secrets, names: Sequence[str], office: Office
) -> list[Invited]:
    """Make the first officers and invite them, and make their app known; all of it or nothing.
    Raises Refused: INVALID, OFFICERS_THERE, NAME_TAKEN, CLIENT_EXISTS, BUSY.
    """
    known = _names(names)
    clients.check(office.registration)

    def change(tx: Transaction) -> list[Invited]:
        if tx.find("officers", (), limit=1):
            raise Refused(OFFICERS_THERE)
        if tx.get("clients", office.client) is not None:
            raise Refused(clients.CLIENT_EXISTS)
        note(tx, "client_of_office", office.client, BY)
        tx.put("clients", office.client, clients.new_client(office.registration, tx.now_ms))
        return [_officer(tx, secrets, name) for name in known]

    return database.transact(change).value


def put_office(database: Database, office: Office) -> None:
    """Let the office have this app, new or as it is said now. Nobody within the platform can: where
    an officer's sign-in leads to is not for one person to say. Raises Refused: INVALID,
    CLIENT_EXISTS, BUSY.
    """
    clients.check(office.registration)

    def change(tx: Transaction) -> None:
        found = tx.get("clients", office.client)
        if found is None:
            body = clients.new_client(office.registration, tx.now_ms)
        else:
            body = found.body
            clients.become_office(body, office.registration)
        note(tx, "client_of_office", office.client, BY)
        tx.put("clients", office.client, body)

    database.transact(change)


def _names(names: Sequence[str]) -> list[str]:
    known = [staff.name_of(name) for name in names]
    if len(set(known)) < len(known):
        raise invalid("name", "不能重复", "may not be given twice")
    if not OFFICERS_MIN <= len(known) <= OFFICERS_MAX:
        raise invalid(
            "name",
            f"须为 {OFFICERS_MIN} 至 {OFFICERS_MAX} 人",
            f"are {OFFICERS_MIN} to {OFFICERS_MAX}: one officer alone can give no power",
        )
    return known


def _officer(tx: Transaction, secrets: Secrets, name: str) -> Invited:
    digest = secrets.known("staff", name)
    if tx.get("staff_names", digest) is not None:
        raise Refused(staff.NAME_TAKEN, detail={"name": name})
    account = tx.new_id("account")
    tx.put("accounts", account, accounts.new_account(("security",), tx.now_ms))
    tx.put("staff_names", digest, {"account": account})
    body = {**staff.new_staff(digest, tx.now_ms), "by": BY}
    tx.put("staff", account, body)
    noted = roles.new_change(
        account, "security", given=True, by=BY, second=None, reason=REASON, now_ms=tx.now_ms
    )
    tx.put("role_changes", tx.new_id("role_change"), noted)
    return Invited(account, name, secrets.invitation(account, body["invitation"]))


def again(database: Database, secrets: Secrets) -> list[Invited]:
    """New invitations for those of the first officers who have not enrolled: the ones before were
    lost, or have ended. Once two officers have, it is theirs to invite. Raises Refused:
    OFFICERS_THERE, NOBODY_INVITED, BUSY.
    """

    def change(tx: Transaction) -> list[Invited]:
        officers = [hit.document.key for hit in tx.find("officers", (), limit=OFFICERS_MAX + 1)]
        members = [member for key in officers if (member := tx.get("staff", key)) is not None]
        waiting = [m for m in members if (m.body["state"], m.body["by"]) == ("invited", BY)]
        if len(officers) - len(waiting) >= ENROLLED_ENOUGH:
            raise Refused(OFFICERS_THERE)
        if not waiting:
            raise Refused(NOBODY_INVITED)
        for member in waiting:
            staff.invite_again(member.body, tx.now_ms)
            tx.put("staff", member.key, member.body)
        return [
            Invited(m.key, "", secrets.invitation(m.key, m.body["invitation"])) for m in waiting
        ]

    return database.transact(change).value
