"""Delegations: asked for, confirmed by a code, taken back; tokens for those who act under them."""

from collections.abc import Iterable
from datetime import date

from services.identity.actions import names as registry
from services.identity.actions.accounts import account_for
from services.identity.actions.counts import count, count_code
from services.identity.actions.erasures import Erased, erasing, forget_name
from services.identity.actions.keys import Keys
from services.identity.actions.names import Registry
from services.identity.actions.roles import held
from services.identity.domain import accounts, delegations, names, sign_ins
from services.identity.domain.delegations import Terms
from services.identity.domain.names import Person
from services.identity.domain.secrets import Secrets, same
from shared.errors import BUSY, NOT_FOUND, Refused
from shared.storage.access import (
    FRESH,
    Claim,
    Committed,
    Database,
    Document,
    Freshness,
    Hit,
    Position,
    Transaction,
    View,
)
from shared.storage.catalogue import Body


def ask(
    database: Database,
    secrets: Secrets,
    claim: Claim,
    agent: str,
    number: str,
    terms: Terms,
    codes_per_minute: int,
) -> Committed[Document]:
    """Ask the owner of a number to consent: a code goes there, with who asks and for what. Whether
    the number has an account is not looked at. Raises Refused: INVALID, NOT_AN_AGENT,
    TOO_MANY_CODES.
    """
    phone, code = secrets.phone(number), secrets.new_code()

    def change(tx: Transaction) -> Document:
        delegations.check(terms, held(tx, agent))
        count(tx, f"delegations.{agent}", delegations.ASKED)
        count_code(tx, phone, codes_per_minute)
        made = tx.new_id("delegation")
        said = delegations.sealed_for(number, code, tx.now_ms + delegations.CODE_MS)
        sealed = secrets.sealing.seal("delegations", made, said)
        body = delegations.new_request(
            agent, terms, phone, secrets.code(made, code), sealed, tx.now_ms
        )
        tx.emit("delegation.code_made", {"delegation": made})
        return tx.put("delegations", made, body)

    return database.transact_once(claim, change)


def confirm(
    database: Database, secrets: Secrets, agent: str, key: str, code: str
) -> Committed[Document]:
    """Give the code that the person was sent. A repeated one is answered again. Raises Refused:
    NOT_FOUND, NOT_CONFIRMED, DELEGATION_OVER, NOT_AN_AGENT, OWN_DELEGATION, TOO_MANY.
    """
    given = secrets.code(key, code)

    def change(tx: Transaction) -> Document | None:
        found = tx.require("delegations", key)
        body = found.body
        if body["agent"] != agent or "code" not in body:
            raise Refused(NOT_FOUND)
        right = same(given, body["code"])
        if right and body["state"] == "live":
            return found
        if body["state"] != "waiting" or tx.now_ms >= body["good_ms"]:
            raise Refused(delegations.DELEGATION_OVER)
        if not delegations.attempt(body, right=right, now_ms=tx.now_ms):
            # Kept with its refusal: a guess counts.
            tx.put("delegations", key, body)
            return None
        _check_agent(tx, body)
        _begin(tx, body)
        return tx.put("delegations", key, body)

    committed = database.transact(change)
    if committed.value is None:
        raise Refused(delegations.NOT_CONFIRMED)
    return Committed(committed.value, committed.seq)


def _check_agent(view: View, body: Body) -> None:
    if body["kind"] == "station_agent" and "station_agent" not in held(view, body["agent"]):
        raise Refused(delegations.NOT_AN_AGENT)


def _begin(tx: Transaction, body: Body) -> None:
    person = account_for(tx, body["phone"])
    if not accounts.may_sign_in(person.body) or "citizen" not in person.body["roles"]:
        raise Refused(delegations.DELEGATION_OVER)
    _make_room(tx, "delegations_of_person", person.key)
    delegations.begin(body, person.key, tx.now_ms)


def _make_room(tx: Transaction, index: str, of: str) -> None:
    """Let those go that have ended; raise TOO_MANY where none has. A child's ends unseen here."""
    standing = tx.find(index, (of,), limit=delegations.STANDING_MAX)
    for hit in standing:
        ended = hit.document.body
        if not ended.get("child") and not delegations.is_live(ended, None, tx.now_ms):
            delegations.let_go(ended, tx.now_ms)
            tx.put("delegations", hit.document.key, ended)
    if len(tx.find(index, (of,), limit=delegations.STANDING_MAX)) >= delegations.STANDING_MAX:
        raise Refused(delegations.TOO_MANY)


def guard(
    database: Database, own: Registry, guardian: str, child: Person, now_ms: int
) -> Committed[Document]:
    """Begin a guardianship of a child: by the register, with an account for the child where there
    is none. Repeated, it answers the one that stands. Raises Refused: NOT_VERIFIED_YET,
    NOT_A_CHILD, NOT_VERIFIED, NOT_A_GUARDIAN, NUMBER_TAKEN, TOO_MANY, TOO_MANY_CODES,
    VERIFIER_DOWN.
    """
    _check_register(database, own, guardian, child, now_ms)
    digest = own.digest(child)
    account = _child_account(database, digest)
    sealed = own.vault.seal("names", account, names.content(child))
    numbers = _numbers(database, own, account, guardian)

    def change(tx: Transaction) -> Document:
        if not names.is_younger(child.born, names.CHILD_YEARS, tx.now_ms):
            raise Refused(delegations.NOT_A_CHILD)
        _keep_child(tx, account)
        registry.keep(tx, account, digest, sealed, own.verifier.source)
        standing = {each.body["agent"]: each for each in _guardianships(tx, account)}
        if guardian in standing:
            return standing[guardian]
        if not standing.keys() <= numbers.keys():
            # Somebody was quicker, and has to be told as well.
            raise Refused(BUSY, retry_after_seconds=1)
        _make_room(tx, "delegations_of_person", account)
        _make_room(tx, "delegations_of_guardian", guardian)
        body = delegations.new_guardianship(guardian, account, tx.now_ms)
        made = tx.put("delegations", tx.new_id("delegation"), body)
        for other in standing:
            _tell(tx, own.secrets, made.key, numbers[other])
        return made

    return database.transact(change)


def _numbers(database: Database, own: Registry, child: str, but: str) -> dict[str, str | None]:
    """The child's other guardians, each with the mobile number that they were verified by; None
    where there is no name, or it was verified without one: nobody can tell them.
    """
    standing = database.read(lambda view: _guardianships(view, child)).value
    others = [each.body["agent"] for each in standing if each.body["agent"] != but]
    known = {other: registry.person_of(database, own, other) for other in others}
    return {other: None if found is None else found.phone for other, found in known.items()}


def _tell(tx: Transaction, secrets: Secrets, guardianship: str, number: str | None) -> None:
    """Have a guardian told, by a number that only the notifier can open."""
    if number is not None:
        said = sign_ins.sealed_for(number, "", tx.now_ms + delegations.TOLD_MS)
        sealed = secrets.sealing.seal("delegations", guardianship, said)
        tx.emit("guardianship.begun", {"delegation": guardianship, "sealed": sealed})


def _check_register(
    database: Database, own: Registry, guardian: str, child: Person, now_ms: int
) -> None:
    adult = registry.person_of(database, own, guardian)
    if adult is None or adult.phone is None:
        # Names and numbers are known to many: only a phone ties them to whoever asks.
        raise Refused(delegations.NOT_VERIFIED_YET)
    if names.is_younger(adult.born, names.ADULT_YEARS, now_ms):
        raise Refused(delegations.NOT_VERIFIED_YET)
    if not names.is_younger(child.born, names.CHILD_YEARS, now_ms):
        raise Refused(delegations.NOT_A_CHILD)
    registry.count_attempt(database, guardian)
    if not own.verifier.belongs(child):
        raise Refused(names.NOT_VERIFIED)
    if not own.verifier.guards(adult, child):
        raise Refused(delegations.NOT_A_GUARDIAN)


def _keep_child(tx: Transaction, account: str) -> None:
    found = tx.get("accounts", account)
    if found is not None and not found.body.get("child"):
        raise Refused(names.NUMBER_TAKEN)
    if found is None:
        body = {**accounts.new_account(accounts.CITIZEN, tx.now_ms), "child": True}
        tx.put("accounts", account, body)


def _child_account(database: Database, digest: str) -> str:
    """The account of a number, or a new id for one. Of two at once one wins the number, and the
    other is refused NUMBER_TAKEN, and finds it when it asks again.
    """

    def change(tx: Transaction) -> str:
        known = tx.get("id_numbers", digest)
        return tx.new_id("account") if known is None else str(known.body["account"])

    return database.transact(change).value


def take_back(
    database: Database, own: Registry, claim: Claim, by: str, key: str, roles: frozenset[str]
) -> Committed[Document]:
    """End a delegation: the person, who acts, or an operator. With the last guardianship of a child
    its name is forgotten. Raises Refused: NOT_FOUND, BUSY.
    """

    def change(tx: Transaction, erased: Erased) -> Document:
        found = tx.require("delegations", key)
        keeps = "operator" in roles and "operator" in held(tx, by)
        if by not in {found.body["agent"], found.body.get("person")} and not keeps:
            raise Refused(NOT_FOUND)
        return _end(tx, found, by, erased)

    return erasing(
        own.vault, lambda erased: database.transact_once(claim, lambda tx: change(tx, erased))
    )


def end_guardianships(tx: Transaction, account: str, by: str, erased: Erased) -> None:
    """End those by an account, and those of a child whose account it is."""
    held_by = tx.find("delegations_of_guardian", (account,), limit=delegations.STANDING_MAX)
    for each in [*(hit.document for hit in held_by), *_guardianships(tx, account)]:
        _end(tx, each, by, erased)


def _end(tx: Transaction, found: Document, by: str, erased: Erased) -> Document:
    """End a delegation; with a child's last guardianship its name is forgotten."""
    delegations.take_back(found.body, by, tx.now_ms)
    ended = tx.put("delegations", found.key, found.body)
    if found.body.get("child") and not _guardianships(tx, found.body["person"]):
        forget_name(tx, found.body["person"], erased)
    return ended


def forget_child(
    database: Database, own: Registry, claim: Claim, guardian: str, child: str
) -> Committed[Document]:
    """Forget the name of a child, which ends the guardianship: without it nobody knows until when.
    Another guardian's is not ended so, but for one that the child has outgrown. Raises Refused:
    NOT_FOUND, ANOTHER_GUARDIAN, BUSY.
    """
    born = _born_for(database, own, guardian, child)

    def change(tx: Transaction, erased: Erased) -> Document:
        standing = _guardianships(tx, child)
        theirs = [each for each in standing if each.body["agent"] == guardian]
        if not theirs:
            raise Refused(NOT_FOUND)
        is_grown = born is not None and not names.is_younger(born, names.CHILD_YEARS, tx.now_ms)
        if len(standing) > 1 and not is_grown:
            raise Refused(delegations.ANOTHER_GUARDIAN)
        for each in standing:
            delegations.take_back(each.body, guardian, tx.now_ms)
            tx.put("delegations", each.key, each.body)
        forget_name(tx, child, erased)
        return theirs[0]

    return erasing(
        own.vault, lambda erased: database.transact_once(claim, lambda tx: change(tx, erased))
    )


def _guardianships(view: View, child: str) -> list[Document]:
    """Those of a child that nobody has ended."""
    standing = view.find("delegations_of_person", (child,), limit=delegations.STANDING_MAX)
    return [hit.document for hit in standing if hit.document.body.get("child")]


def _born_for(database: Database, own: Registry, guardian: str, child: str) -> date | None:
    """When a child was born, for a guardian of theirs; None for anybody else."""
    standing = database.read(lambda view: _guardianships(view, child)).value
    if guardian not in {each.body["agent"] for each in standing}:
        return None
    person = registry.person_of(database, own, child)
    return None if person is None else person.born


def list_delegations(
    database: Database,
    account: str,
    *,
    mine: bool,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """Who may act for somebody (`mine`), or for whom somebody may; newest first."""
    index = "delegations_by_person" if mine else "delegations_by_agent"
    return database.read(
        lambda view: view.find(index, (account,), limit=limit, after=after, descending=True),
        freshness,
    )


def births(
    database: Database, own: Registry, shown: Iterable[Document], freshness: Freshness = FRESH
) -> dict[str, date]:
    """When the children were born whose guardianships are live, as far as anybody can read it: by
    account. For those who may see the guardianships. Raises Refused(BUSY).
    """
    bodies = [each.body for each in shown]
    children = {
        str(each["person"]) for each in bodies if each.get("child") and each["state"] == "live"
    }
    if not children:
        return {}
    kept = database.read(lambda view: [view.get("names", each) for each in children], freshness)
    known = {name.key: registry.opened(own, name.key, name) for name in kept.value if name}
    return {child: person.born for child, person in known.items() if person is not None}


def list_guardianships(
    database: Database,
    guardian: str,
    child: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """Every guardianship of a child, newest first, to one of its guardians. Raises
    Refused(NOT_FOUND).
    """

    def query(view: View) -> list[Hit]:
        if guardian not in {each.body["agent"] for each in _guardianships(view, child)}:
            raise Refused(NOT_FOUND)
        return view.find(
            "delegations_by_person", (child,), limit=limit, after=after, descending=True
        )

    return database.read(query, freshness)


def list_acts(
    database: Database,
    account: str,
    key: str,
    *,
    limit: int,
    after: Position | None,
    freshness: Freshness = FRESH,
) -> Committed[list[Hit]]:
    """The tokens that were given under a delegation, newest first, to the person and to who acts.
    Raises Refused(NOT_FOUND).
    """

    def query(view: View) -> list[Hit]:
        found = view.require("delegations", key)
        if account not in {found.body["agent"], found.body.get("person")}:
            raise Refused(NOT_FOUND)
        return view.find("acts_by_delegation", (key,), limit=limit, after=after, descending=True)

    return database.read(query, freshness)


def born_of(
    database: Database, own: Registry, keys: Keys, key: str, actor_token: str
) -> date | None:
    """When the child of a guardianship was born, for the guardian whose token it is; else None."""

    def query(view: View) -> str | None:
        found = view.get("delegations", key)
        if found is None or not found.body.get("child"):
            return None
        # Or what is looked up would tell anybody that there is such a guardianship.
        claims = keys.read(view, actor_token)
        is_guardians = claims is not None and claims.get("sub") == found.body["agent"]
        return str(found.body["person"]) if is_guardians else None

    child = database.read(query).value
    person = None if child is None else registry.person_of(database, own, child)
    return None if person is None else person.born
