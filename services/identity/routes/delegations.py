"""Real names and acting for others over HTTP."""

from collections.abc import Callable, Sequence

from services.identity.actions import delegations as actions
from services.identity.actions import names as name_actions
from services.identity.domain import delegations as domain
from services.identity.domain import names
from services.identity.domain.delegations import Terms
from services.identity.domain.sign_ins import TOO_MANY_CODES, number_of
from services.identity.routes.parts import Identity, new_router
from services.identity.schemas import people as schemas
from shared.errors import NOT_FOUND
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import FRESH, Committed, Document, Freshness, Hit
from shared.web.routes import Answer, Call

router = new_router()

# Nobody who acts for a person reaches identity, citizens' own routes included.
PERSON = ("citizen",)
SIDES = ("citizen", "station_agent")


@router.route(
    "POST /v1/account/name",
    Words("实名核验", "Have one's real name verified"),
    scope="account:write",
    roles=SIDES,
    body=schemas.OwnPersonSchema,
    answer=schemas.NameSchema,
    problems=(
        names.GUARDIAN_NEEDED,
        names.NOT_VERIFIED,
        names.NUMBER_TAKEN,
        names.NAME_KNOWN,
        names.VERIFIER_DOWN,
        TOO_MANY_CODES,
    ),
)
def verify(call: Call[Identity]) -> Answer:
    parts = call.parts
    now_ms = parts.clock.now_ms()
    body = call.body
    person = names.person(body["name"], body["number"], now_ms, number_of(body["phone"]))
    made = name_actions.verify(
        parts.database, parts.registry, call.identity.subject, person, now_ms
    )
    return Answer(schemas.name_json(made.value, person), made.seq, made.value.revision)


@router.route(
    "GET /v1/account/name",
    Words("我的实名信息（已脱敏）", "One's own verified name, masked"),
    scope="account:read",
    roles=SIDES,
    answer=schemas.NameSchema,
    problems=(NOT_FOUND,),
)
def read_name(call: Call[Identity]) -> Answer:
    parts = call.parts
    found, person = name_actions.read(
        parts.database, parts.registry, call.identity.subject, call.freshness()
    )
    return Answer(schemas.name_json(found.value, person), found.seq, found.value.revision)


@router.route(
    "POST /v1/account/name/erasure",
    Words("删除实名信息", "Have one's verified name forgotten"),
    scope="account:write",
    roles=SIDES,
    answer=schemas.ForgottenSchema,
    problems=(NOT_FOUND,),
)
def forget(call: Call[Identity]) -> Answer:
    parts = call.parts
    done = name_actions.forget(parts.database, parts.registry, call.claim, call.identity.subject)
    return Answer({"state": "forgotten"}, done.seq)


@router.route(
    "POST /v1/delegations",
    Words("申请代办，本人手机将收到验证码", "Ask to act for somebody, who is sent a code"),
    scope="delegations:write",
    roles=SIDES,
    body=schemas.NewDelegationSchema,
    answer=schemas.DelegationSchema,
    problems=(domain.NOT_AN_AGENT, TOO_MANY_CODES),
)
def ask(call: Call[Identity]) -> Answer:
    parts, body = call.parts, call.body
    made = actions.ask(
        parts.database,
        parts.issuing.secrets,
        call.claim,
        call.identity.subject,
        number_of(body["phone"]),
        Terms(body["kind"], body["scopes"], body["days"]),
        parts.codes_per_minute,
    )
    return _one(call, made)


@router.route(
    "POST /v1/delegations/{delegation_id}/confirmation",
    Words("提交本人告知的验证码", "Give the code that the person was sent"),
    scope="delegations:write",
    roles=SIDES,
    body=schemas.CodeSchema,
    answer=schemas.DelegationSchema,
    problems=(
        domain.NOT_CONFIRMED,
        domain.DELEGATION_OVER,
        domain.NOT_AN_AGENT,
        domain.OWN_DELEGATION,
        domain.TOO_MANY,
    ),
)
def confirm(call: Call[Identity]) -> Answer:
    made = actions.confirm(
        call.parts.database,
        call.parts.issuing.secrets,
        call.identity.subject,
        call.path["delegation_id"],
        call.body["code"],
    )
    return _one(call, made)


@router.route(
    "POST /v1/delegations/{delegation_id}/end",
    Words("结束委托", "End a delegation"),
    scope="delegations:write",
    roles=(*SIDES, "operator"),
    answer=schemas.DelegationSchema,
)
def end(call: Call[Identity]) -> Answer:
    identity = call.identity
    done = actions.take_back(
        call.parts.database,
        call.parts.registry,
        call.claim,
        identity.subject,
        call.path["delegation_id"],
        identity.roles,
    )
    return _one(call, done)


@router.route(
    "POST /v1/children",
    Words("登记未满14周岁的子女", "Begin to act for a child under fourteen"),
    scope="delegations:write",
    roles=PERSON,
    for_others=False,
    body=schemas.PersonSchema,
    answer=schemas.DelegationSchema,
    problems=(
        domain.NOT_VERIFIED_YET,
        domain.NOT_A_CHILD,
        domain.NOT_A_GUARDIAN,
        domain.TOO_MANY,
        names.NOT_VERIFIED,
        names.NUMBER_TAKEN,
        names.NAME_KNOWN,
        names.VERIFIER_DOWN,
        TOO_MANY_CODES,
    ),
)
def guard(call: Call[Identity]) -> Answer:
    parts = call.parts
    now_ms = parts.clock.now_ms()
    child = names.person(call.body["name"], call.body["number"], now_ms)
    made = actions.guard(parts.database, parts.registry, call.identity.subject, child, now_ms)
    return _one(call, made)


@router.route(
    "POST /v1/children/{person_id}/name/erasure",
    Words("删除子女的实名信息并结束监护登记", "Have a child's name forgotten, and end it"),
    scope="delegations:write",
    roles=PERSON,
    for_others=False,
    answer=schemas.ForgottenSchema,
    problems=(domain.ANOTHER_GUARDIAN,),
)
def forget_child(call: Call[Identity]) -> Answer:
    parts = call.parts
    done = actions.forget_child(
        parts.database,
        parts.registry,
        call.claim,
        call.identity.subject,
        call.path["person_id"],
    )
    return Answer({"state": "forgotten"}, done.seq)


@router.route(
    "GET /v1/children/{person_id}/guardianships",
    Words("子女的全部监护登记，最新在前", "Every guardianship of a child, newest first"),
    scope="delegations:read",
    roles=PERSON,
    for_others=False,
    query=PageQuery,
    answer=schemas.DelegationsSchema,
)
def list_guardianships(call: Call[Identity]) -> Answer:
    found = actions.list_guardianships(
        call.parts.database,
        call.identity.subject,
        call.path["person_id"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return _page(call, found)


@router.route(
    "GET /v1/delegations",
    Words("谁可以为我代办，最新在前", "Who may act for oneself, newest first"),
    scope="delegations:read",
    roles=PERSON,
    for_others=False,
    query=PageQuery,
    answer=schemas.DelegationsSchema,
)
def list_of_person(call: Call[Identity]) -> Answer:
    return _list(call, mine=True)


@router.route(
    "GET /v1/delegations-held",
    Words("我可以为谁代办，最新在前", "For whom one may act, newest first"),
    scope="delegations:read",
    roles=SIDES,
    query=PageQuery,
    answer=schemas.DelegationsSchema,
)
def list_of_agent(call: Call[Identity]) -> Answer:
    return _list(call, mine=False)


@router.route(
    "GET /v1/delegations/{delegation_id}/acts",
    Words("委托的使用记录，最新在前", "When a delegation was used, newest first"),
    scope="delegations:read",
    roles=SIDES,
    query=PageQuery,
    answer=schemas.ActsSchema,
)
def list_acts(call: Call[Identity]) -> Answer:
    found = actions.list_acts(
        call.parts.database,
        call.identity.subject,
        call.path["delegation_id"],
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: schemas.act_json(hit.document))


def _list(call: Call[Identity], *, mine: bool) -> Answer:
    found = actions.list_delegations(
        call.parts.database,
        call.identity.subject,
        mine=mine,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return _page(call, found)


def _page(call: Call[Identity], found: Committed[list[Hit]]) -> Answer:
    show = _shown(call, [hit.document for hit in found.value], call.freshness())
    return call.page.answer(found, lambda hit: show(hit.document))


def _one(call: Call[Identity], found: Committed[Document]) -> Answer:
    show = _shown(call, [found.value])
    return Answer(show(found.value), found.seq, found.value.revision)


def _shown(
    call: Call[Identity], documents: Sequence[Document], freshness: Freshness = FRESH
) -> Callable[[Document], dict[str, object]]:
    """What these look like now."""
    parts = call.parts
    now_ms = parts.clock.now_ms()
    born = actions.births(parts.database, parts.registry, documents, freshness)
    return lambda each: schemas.delegation_json(each, born.get(each.body.get("person", "")), now_ms)
