"""The journals of two services share nothing by which a person could be followed from one to the
other: no account, no subject, no digest, no delegation, no key.

The same people, by the same agent, under the same delegation and with the same idempotency keys, do
what they can in every service. Whatever stands in two of the journals then has to be a word of the
program, a name from the reference data, or a number such as a time.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import orjson
import pytest

from infra.credentials import Credentials
from infra.layout import Layout
from infra.programs import Plan, service_environment
from infra.services import SERVICES
from shared.auth.delegations import Seal
from shared.auth.subjects import service_subject
from tests.support.errands import ERRANDS, Errand
from tests.support.houses import HOUSES
from tests.support.ledger import entries_of
from tests.support.served import Served, made

PERSON, AGENT, WARD = "account_0190aaaa", "account_0190bbbb", "account_0190cccc"
DELEGATION = "delegation_0190dddd"
ACCOUNTS = (PERSON, AGENT, WARD, DELEGATION)

WORD = re.compile(r"[a-z]+(?:[._ -][a-z]+)*")
"""A word of the program's: a collection, a state, a kind of event."""

TELLING = 8
"""Characters of which no two independent values are made by accident."""


def key_of(errand: Errand) -> bytes:
    return f"the subject key of {errand.house.name} alone, 32+".encode()


def run(errand: Errand, served: Served) -> None:
    """What one person does alone, what an agent does for a ward, and what the ward undoes."""
    agent = {"token": served.acting(WARD, agent=AGENT, delegation=DELEGATION)}
    person = {"token": served.issuer.token(PERSON, roles=["citizen"])}
    ward = {"token": served.issuer.token(WARD, roles=["citizen"])}
    errand.taken(served, key="the-same-key", **person)
    taken = errand.taken(served, key="the-same-key", **agent)
    made(errand.give_back(served, taken, key="another-key", **ward))
    again = errand.taken(served, key="one-more-key", **agent)
    made(errand.give_back(served, again, key="another-key", **agent))


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Everything that each service stored."""
    found = {}
    for errand in ERRANDS:
        name = errand.house.name
        folder = tmp_path_factory.mktemp(name)
        with errand.house.open(folder, subject_key=key_of(errand)) as served:
            run(errand, served)
            found[name] = b"\n".join(entries_of(served.store, f"{name}/"))
    return found


def texts_of(value: object) -> Iterator[str]:
    """All texts in a JSON value, names of members included, and what they are put together of."""
    if isinstance(value, str):
        yield value
        yield from re.split(r"[. /|]", value)
        if value[:1] in {"{", "["}:
            yield from texts_of(orjson.loads(value))
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from texts_of(name)
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


def telling(journal: bytes) -> set[str]:
    """What could be known again: long enough, and no word."""
    texts = {text for line in journal.split(b"\n") for text in texts_of(orjson.loads(line))}
    return {text for text in texts if len(text) >= TELLING and not WORD.fullmatch(text)}


def test_every_service_takes_part() -> None:
    acted_in = [house for house in HOUSES if any(route.for_others for route in house.router.routes)]
    assert [errand.house for errand in ERRANDS] == acted_in


def test_no_two_journals_share_anything_that_tells_a_person(journals: dict[str, bytes]) -> None:
    for (one, first), (other, second) in combinations(journals.items(), 2):
        shared = telling(first) & telling(second)
        dates = {text for text in shared if re.fullmatch(r"20\d\d-\d\d-\d\d", text)}
        assert shared - dates == set(), f"{one} and {other}"


def test_no_journal_names_an_account_or_a_delegation(journals: dict[str, bytes]) -> None:
    for name, journal in journals.items():
        for account in ACCOUNTS:
            assert account.encode() not in journal, (name, account)
            assert account.rpartition("_")[2].encode() not in journal, (name, account)
        for key in ("the-same-key", "one-more-key", "another-key"):
            assert key.encode() not in journal, (name, key)


def test_what_would_join_them_stands_in_each(journals: dict[str, bytes]) -> None:
    """Or the test would find nothing because nothing was stored."""
    for errand in ERRANDS:
        journal, key = journals[errand.house.name], key_of(errand)
        for account in (PERSON, AGENT, WARD):
            assert service_subject(account, key).encode() in journal
        assert Seal(key).sealed(DELEGATION).encode() in journal


def test_the_test_sees_a_value_that_two_journals_share(journals: dict[str, bytes]) -> None:
    planted = orjson.dumps({"writes": [{"key": f"x.{service_subject(PERSON, b'1' * 32)}"}]})
    [first, second, *_] = journals.values()
    assert telling(first + b"\n" + planted) & telling(second + b"\n" + planted) != set()


def test_each_service_is_given_keys_of_its_own(tmp_path: Path) -> None:
    plan = Plan(Layout(tmp_path), Credentials("access", "secret", "master-key" * 4), port=1)
    given = [service_environment(plan, service, "one") for service in SERVICES]
    keys = [each[name] for each in given for name in ("GANSU_SUBJECT_KEY", "GANSU_REQUEST_KEY")]
    assert len(set(keys)) == 2 * len(SERVICES)
