"""Staff over HTTP: invitations, roles given and taken, ID numbers freed, and who did it."""

from services.identity.actions import releases
from services.identity.actions import roles as role_actions
from services.identity.actions import staff as actions
from services.identity.domain import names, roles
from services.identity.domain import staff as domain
from services.identity.routes.parts import Identity, new_router
from services.identity.schemas import people as schemas
from shared.errors import NOT_FOUND
from shared.language import Words
from shared.schemas import PageQuery
from shared.storage.access import Committed, Document
from shared.web.routes import Answer, Call

router = new_router()

GIVERS = ("operator", "security")
READERS = ("operator", "security", "auditor")


@router.route(
    "POST /v1/staff",
    Words("邀请工作人员", "Invite somebody to the staff"),
    scope="staff:write",
    roles=GIVERS,
    body=schemas.NewStaffSchema,
    answer=schemas.StaffSchema,
    problems=(domain.NAME_TAKEN,),
)
def invite(call: Call[Identity]) -> Answer:
    parts = call.parts
    made = actions.invite(
        parts.database, parts.issuing.secrets, call.claim, call.identity.subject, call.body["name"]
    )
    return _invited(call, made)


@router.route(
    "POST /v1/staff/{account_id}/invitations",
    Words("重新邀请：密码与动态码作废", "Invite again: password and second factor are void"),
    scope="staff:write",
    roles=GIVERS,
    answer=schemas.StaffSchema,
)
def invite_again(call: Call[Identity]) -> Answer:
    made = actions.invite_again(
        call.parts.database, call.claim, call.identity.subject, call.path["account_id"]
    )
    return _invited(call, made)


def _invited(call: Call[Identity], made: Committed[Document]) -> Answer:
    # Made again from the document, so that no journal holds it.
    number = made.value.body["invitation"]
    invitation = call.parts.issuing.secrets.invitation(made.value.key, number)
    return Answer(schemas.staff_json(made.value, invitation), made.seq, made.value.revision)


@router.route(
    "POST /v1/accounts/{account_id}/roles",
    Words("授予角色", "Give a role"),
    scope="roles:write",
    roles=GIVERS,
    body=schemas.RoleSchema,
    answer=schemas.RoleChangeSchema,
    problems=(roles.OWN_ROLES, roles.ROLE_HELD, roles.DUTIES_APART),
)
def give(call: Call[Identity]) -> Answer:
    made = role_actions.give(
        call.parts.database,
        call.claim,
        call.identity.subject,
        call.path["account_id"],
        call.body["role"],
        call.body["reason"],
    )
    return Answer(schemas.role_change_json(made.value), made.seq, made.value.revision)


@router.route(
    "POST /v1/accounts/{account_id}/roles/{role_name}/agreement",
    Words("另一位安全管理员确认授予", "A second officer agrees to a role"),
    scope="roles:write",
    roles=("security",),
    answer=schemas.RoleChangeSchema,
    problems=(roles.OWN_ROLES, roles.ROLE_HELD, roles.DUTIES_APART, roles.SECOND_NEEDED),
)
def agree(call: Call[Identity]) -> Answer:
    made = role_actions.agree(
        call.parts.database,
        call.claim,
        call.identity.subject,
        call.path["account_id"],
        call.path["role_name"],
    )
    return Answer(schemas.role_change_json(made.value), made.seq, made.value.revision)


@router.route(
    "POST /v1/accounts/{account_id}/roles/{role_name}/withdrawal",
    Words("收回角色", "Take a role"),
    scope="roles:write",
    roles=GIVERS,
    body=schemas.ReasonSchema,
    answer=schemas.RoleChangeSchema,
    problems=(roles.OWN_ROLES, roles.ROLE_NOT_HELD),
)
def take(call: Call[Identity]) -> Answer:
    made = role_actions.take(
        call.parts.database,
        call.claim,
        call.identity.subject,
        call.path["account_id"],
        call.path["role_name"],
        call.body["reason"],
    )
    return Answer(schemas.role_change_json(made.value), made.seq, made.value.revision)


@router.route(
    "GET /v1/role-changes",
    Words("角色变更记录，最新在前", "Changes of roles, newest first"),
    scope="roles:read",
    roles=READERS,
    query=schemas.RoleChangesQuery,
    answer=schemas.RoleChangesSchema,
)
def list_changes(call: Call[Identity]) -> Answer:
    found = role_actions.list_changes(
        call.parts.database,
        call.query.get("account_id"),
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: schemas.role_change_json(hit.document))


@router.route(
    "GET /v1/role-requests",
    Words("等待第二位安全管理员确认的授予", "What waits for a second officer"),
    scope="roles:read",
    roles=READERS,
    query=PageQuery,
    answer=schemas.RoleChangesSchema,
)
def list_requests(call: Call[Identity]) -> Answer:
    found = role_actions.list_requests(
        call.parts.database,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: schemas.role_change_json(hit.document))


@router.route(
    "POST /v1/number-releases",
    Words("释放被他人账号占用的证件号码", "Free an ID number that another account took"),
    scope="roles:write",
    roles=("security",),
    body=schemas.NewReleaseSchema,
    answer=schemas.ReleaseSchema,
    problems=(NOT_FOUND,),
)
def release(call: Call[Identity]) -> Answer:
    parts = call.parts
    number, _ = names.number_of(call.body["number"], parts.clock.now_ms())
    made = releases.release(
        parts.database,
        parts.registry,
        call.claim,
        call.identity.subject,
        number,
        call.body["reason"],
    )
    return Answer(schemas.release_json(made.value), made.seq, made.value.revision)


@router.route(
    "GET /v1/number-releases",
    Words("证件号码释放记录，最新在前", "ID numbers that were freed, newest first"),
    scope="roles:read",
    roles=READERS,
    query=PageQuery,
    answer=schemas.ReleasesSchema,
)
def list_releases(call: Call[Identity]) -> Answer:
    found = releases.list_releases(
        call.parts.database,
        limit=call.page.fetch,
        after=call.page.after,
        freshness=call.freshness(),
    )
    return call.page.answer(found, lambda hit: schemas.release_json(hit.document))
