"""Whoever acts for somebody else: what they can do, what stands of it, and who sees what."""

import orjson
import pytest
from werkzeug.test import Client

from shared.auth.subjects import service_subject
from shared.condition import Condition
from shared.language import Words
from shared.storage.entry import Entry, decode
from shared.web.common import LiveSchema
from shared.web.routes import Answer, Call, Router
from shared.web.service import build
from tests.support.errands import ERRANDS, Errand
from tests.support.houses import Open
from tests.support.ledger import entries_of
from tests.support.served import Json, Served, json_of, made, refused
from tests.support.tokens import ALL_SCOPES, SUBJECT_KEY

WARD, GUARDIAN, AGENT = "citizen-31", "citizen-32", "agent-31"
DELEGATION = "delegation_0f3c"

errands = pytest.mark.parametrize("errand", ERRANDS, ids=lambda each: each.house.name)


def acting(
    served: Served, scope: str = ALL_SCOPES, agent: str = AGENT, delegation: str = DELEGATION
) -> str:
    return served.acting(WARD, agent=agent, delegation=delegation, scope=scope)


def last_entry(served: Served) -> Entry:
    [*_, (seq, stored)] = enumerate(entries_of(served.store, f"{served.name}/"), 1)
    return decode(stored, seq)


def noted_in(entry: Entry, key: str) -> list[Json]:
    """What the document of that key says of who acted."""
    bodies = [orjson.loads(write.body or b"{}") for write in entry.writes if write.key == key]
    assert len(bodies) == 1
    acts: list[Json] = bodies[0].get("acts", [])
    return acts


@errands
def test_both_identities_stand_on_what_is_done_for_somebody(opened: Open, errand: Errand) -> None:
    served = opened(errand.house)
    token = acting(served)
    noted = {
        "subject": service_subject(AGENT, SUBJECT_KEY),
        "kind": "station_agent",
        "delegation": served.verifier.seal.sealed(DELEGATION),
    }
    taken = errand.taken(served, token=token)
    entry = last_entry(served)
    assert noted_in(entry, taken["id"]) == [{"did": errand.did[0], **noted}]
    told = [orjson.loads(event.data) for event in entry.events]
    assert all(each["acted_by"] == noted for each in told)
    made(errand.give_back(served, taken, token=token))
    entry = last_entry(served)
    assert [act["did"] for act in noted_in(entry, taken["id"])] == list(errand.did)
    [event] = entry.events
    assert orjson.loads(event.data)["acted_by"] == noted


@errands
def test_the_person_owns_it_and_is_shown_who_acted(opened: Open, errand: Errand) -> None:
    served = opened(errand.house)
    taken = errand.taken(served, token=acting(served))
    shown = {"did": errand.did[0], "kind": "station_agent", "delegation_id": DELEGATION}
    assert taken["acted_by"] == [shown]
    assert errand.seen(served, taken, by=WARD) == taken
    listed = json_of(served.get(errand.path, by=WARD))["items"]
    assert listed[0] == taken
    assert AGENT not in str(listed)
    assert "sub_" not in str(listed)
    refused(served.get(f"{errand.path}/{taken['id']}", by=AGENT), 404, "not-found")
    own = made(errand.give_back(served, taken, by=WARD))
    assert own["acted_by"] == [shown], "what the person does is nobody else's act"


@errands
def test_what_one_does_oneself_names_nobody(opened: Open, errand: Errand) -> None:
    served = opened(errand.house)
    taken = errand.taken(served, by=WARD)
    assert "acted_by" not in taken
    entry = last_entry(served)
    assert noted_in(entry, taken["id"]) == []
    assert all("acted_by" not in orjson.loads(event.data) for event in entry.events)


@errands
def test_an_agent_reads_and_lists_within_the_delegations_scope(
    opened: Open, errand: Errand
) -> None:
    served = opened(errand.house)
    read, write = errand.scopes
    taken = errand.taken(served, by=WARD)
    reader, writer = acting(served, read), acting(served, write)
    assert errand.seen(served, taken, token=reader) == taken
    page = json_of(served.get(f"{errand.path}?limit=1", token=reader))
    assert page["items"] == [taken]
    refused(errand.give_back(served, taken, token=reader), 403, "forbidden")
    refused(served.get(f"{errand.path}/{taken['id']}", token=writer), 403, "forbidden")
    stranger = served.acting("citizen-33", agent=AGENT)
    refused(served.get(f"{errand.path}/{taken['id']}", token=stranger), 404, "not-found")
    made(errand.give_back(served, taken, token=writer))


@errands
def test_a_cursor_is_good_for_the_one_who_was_given_it(opened: Open, errand: Errand) -> None:
    served = opened(errand.house)
    for _ in range(2):
        errand.taken(served, by=WARD)
    after = json_of(served.get(f"{errand.path}?limit=1", by=WARD))["after"]
    path = f"{errand.path}?limit=1&after={after}"
    assert served.get(path, by=WARD).status_code == 200
    refused(served.get(path, token=acting(served)), 422, "invalid-request", "after")


@errands
def test_keys_of_an_agent_and_of_the_person_are_apart(opened: Open, errand: Errand) -> None:
    """The same key by the person, an agent and another agent are three intents; by the same agent
    under a delegation that was given anew it is the first one, repeated.
    """
    served = opened(errand.house)
    callers = [
        {"by": WARD},
        {"token": acting(served)},
        {"token": acting(served, agent="agent-32")},
    ]
    taken = [errand.taken(served, key="the-same", **caller) for caller in callers]
    assert len({each["id"] for each in taken}) == 3
    first = errand.give_back(served, taken[1], key="back", token=acting(served))
    renewed = acting(served, delegation="delegation_0f3d")
    again = errand.give_back(served, taken[1], key="back", token=renewed)
    assert made(again) == made(first)
    assert {act["delegation_id"] for act in made(again)["acted_by"]} == {DELEGATION}
    problem = errand.give_back(served, taken[1], key="back", by=WARD)
    assert problem.status_code == 409, "the person's own key starts anew, and it is cancelled"


@errands
def test_a_guardian_acts_as_an_agent_does(opened: Open, errand: Errand) -> None:
    served = opened(errand.house)
    token = served.acting(WARD, agent=GUARDIAN, kind="guardian")
    taken = errand.taken(served, token=token)
    assert [act["kind"] for act in taken["acted_by"]] == ["guardian"]
    assert "acted_by" not in errand.taken(served, by=GUARDIAN)


def test_a_citizens_route_can_be_closed_to_others(opened: Open) -> None:
    served = opened(ERRANDS[0].house)
    words = Words("自己的事", "One's own affairs")
    router = Router[None]("/closed", words)

    @router.route(
        "GET /v1/own",
        words,
        scope="orders:read",
        roles=("citizen",),
        for_others=False,
        answer=LiveSchema,
    )
    def own(_: Call[None]) -> Answer:
        return Answer({"status": "live"})

    client = Client(build(router, None, served.edge, Condition(served.clock)))
    for token, status in ((served.token(WARD), 200), (acting(served), 403)):
        answer = client.get("/closed/v1/own", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status
    assert json_of(answer)["for_others"] is False


def test_a_store_and_a_desk_are_not_told_who_acted(opened: Open) -> None:
    commerce, _, health = ERRANDS
    shop, clinic = opened(commerce.house), opened(health.house)
    order = commerce.taken(shop, token=acting(shop))
    [part] = order["parts"]
    seen = json_of(shop.get(f"/v1/stores/{part['store_id']}/orders/{order['id']}", by="merchant-1"))
    booked = health.taken(clinic, token=acting(clinic))
    path = f"/v1/hospitals/{booked['hospital_id']}/appointments/{booked['id']}"
    at_desk = json_of(clinic.get(path, by="hospital-1"))
    for shown in (seen, at_desk):
        assert "act" not in str(shown.keys())
        assert DELEGATION not in str(shown)
