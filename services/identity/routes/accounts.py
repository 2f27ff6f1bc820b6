"""Accounts over HTTP: one's own, and the end of all its sign-ins."""

from services.identity.actions import accounts as actions
from services.identity.domain.scopes import PEOPLE
from services.identity.routes.parts import Identity, new_router
from services.identity.schemas.accounts import AccountSchema, account_json
from shared.errors import NOT_FOUND
from shared.language import Words
from shared.web.routes import Answer, Call

router = new_router()


@router.route(
    "GET /v1/account",
    Words("我的账号", "My own account"),
    scope="account:read",
    roles=PEOPLE,
    answer=AccountSchema,
    problems=(NOT_FOUND,),
)
def read_account(call: Call[Identity]) -> Answer:
    found = actions.read_account(call.parts.database, call.identity.subject, call.freshness())
    return Answer(account_json(found.value), found.seq, found.value.revision)


@router.route(
    "POST /v1/account/sign-out",
    Words("在所有设备上退出登录", "Sign out on every phone"),
    scope="account:write",
    roles=PEOPLE,
    answer=AccountSchema,
    problems=(NOT_FOUND,),
)
def sign_out(call: Call[Identity]) -> Answer:
    done = actions.sign_out(call.parts.database, call.claim, call.identity.subject)
    return Answer(account_json(done.value), done.seq, done.value.revision)
