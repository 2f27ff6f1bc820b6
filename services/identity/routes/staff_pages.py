"""What staff see in a browser: signing in by two factors, and enrolling after an invitation.

POST /sign-in/staff      from the page that asks for a number; then name, password and code
GET  /enrolment          the page that asks for an invitation
POST /enrolment          a second factor to put into an app, then name, password and its first code
"""

from services.identity.actions import authorizations, staff, staff_sign_in
from services.identity.actions.authorizations import AuthorizationRefused
from services.identity.actions.staff import Enrolment, Given
from services.identity.domain import staff as domain
from services.identity.routes import forms, pages
from services.identity.routes.parts import PREFIX, Identity
from shared.errors import BUSY, INVALID, Problem, Refused
from shared.language import Language, Words
from shared.web.requests import Environ
from shared.web.responses import Rendered
from shared.web.service import Answers

_OVER = Words(
    "此页面已失效，请从应用重新登录。", "This page is no longer good. Begin again in the app."
)


class StaffSignIn:
    """Answers the form of name, password and code; without a name it shows the form."""

    def __init__(self, parts: Identity) -> None:
        self._parts = parts

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        parts, values = self._parts, forms.form(environ)
        secrets, now_ms = parts.issuing.secrets, parts.clock.now_ms()
        secure = parts.issuing.issuer.startswith("https:")
        browser = forms.browser(environ, secure=secure)
        page = forms.opened(secrets.sealing, values.get("page", ""), browser, now_ms)
        if page is None:
            return _over(_OVER, language)
        given = Given(
            values.get("name", ""),
            values.get("password", ""),
            "".join(values.get("code", "").split()).lower(),
            secrets.address(forms.address(environ)),
            page.id,
            secrets.browser_of(forms.staff(environ, secure=secure)),
        )
        leads_to = page.values["redirect_uri"]
        try:
            authorizations.check(parts.database, parts.issuing, page.values)
            if not given.name:
                return _form(values["page"], language, leads_to)
            account, location = staff_sign_in.finish(
                parts.database, parts.issuing, parts.registry, given, page.values, now_ms
            )
        except AuthorizationRefused as refused:
            if refused.location is not None:
                return pages.redirect(refused.location)
            return _over(_OVER, language)
        except Refused as refused:
            problem = _told(refused, domain.SIGN_IN_REFUSED, domain.TRY_LATER, BUSY)
            return _form(values["page"], language, leads_to, problem, refused)
        cookie = forms.staff_cookie(secrets.browser(account), secure=secure)
        return pages.redirect(location, headers=(("Set-Cookie", cookie),))


def _form(
    page: str,
    language: Language,
    leads_to: str,
    problem: Problem | None = None,
    refused: Refused | None = None,
) -> Rendered:
    wrong = None if problem is None else Words(problem.zh, problem.en)
    return pages.rendered(
        "staff",
        language,
        {"page": page, "wrong": wrong},
        status=200 if problem is None else problem.status,
        leads_to=leads_to,
        headers=() if refused is None else pages.again(refused),
    )


class EnrolmentPage:
    """Asks for an invitation."""

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        return pages.rendered("invitation", language, {"wrong": None})


class Enrol:
    """An invitation leads to a second factor; that, with a password, to recovery codes."""

    def __init__(self, parts: Identity) -> None:
        self._parts = parts

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        parts, values = self._parts, forms.form(environ)
        secrets = parts.issuing.secrets
        invitation = values.get("invitation", "").strip()
        try:
            if "ticket" not in values:
                begun = staff.begin_enrolment(parts.database, secrets, invitation)
                return _enrolling(language, invitation, begun.ticket, begun.secret)
            given = Enrolment(
                invitation,
                values["ticket"],
                values.get("name", ""),
                values.get("password", ""),
                "".join(values.get("code", "").split()),
            )
            done = staff.enrol(parts.database, parts.registry, given)
        except Refused as refused:
            return self._not_yet(refused, values, invitation, language)
        return pages.rendered("enrolled", language, {"recovery": done.recovery})

    def _not_yet(
        self, refused: Refused, values: dict[str, str], invitation: str, language: Language
    ) -> Rendered:
        problem = _told(refused, INVALID, domain.INVITATION_OVER, BUSY)
        if problem is domain.INVITATION_OVER or "ticket" not in values:
            return _asking_again(refused, language)
        ticket = values["ticket"]
        secret = staff.secret_of(self._parts.issuing.secrets, invitation, ticket)
        return _enrolling(language, invitation, ticket, secret, refused)


def _asking_again(refused: Refused, language: Language) -> Rendered:
    """The page that asks for an invitation: this one is over, or could not be looked at now."""
    problem = refused.problem
    return pages.rendered(
        "invitation",
        language,
        {"wrong": Words(problem.zh, problem.en)},
        status=problem.status,
        headers=pages.again(refused),
    )


def _enrolling(
    language: Language,
    invitation: str,
    ticket: str,
    secret: str,
    refused: Refused | None = None,
) -> Rendered:
    values = {"invitation": invitation, "ticket": ticket, "secret": secret, "wrong": None}
    if refused is None:
        return pages.rendered("enrolment", language, values)
    told = refused.fields[0] if refused.fields else refused.problem
    return pages.rendered(
        "enrolment",
        language,
        {**values, "wrong": Words(told.zh, told.en)},
        status=refused.problem.status,
        headers=pages.again(refused),
    )


def _told(refused: Refused, *known: Problem) -> Problem:
    """What a page tells; anything else is a problem document's."""
    if refused.problem not in known:
        raise refused
    return refused.problem


def _over(wrong: Words, language: Language) -> Rendered:
    return pages.rendered("over", language, {"wrong": wrong, "error": ""}, status=400)


def endpoints(parts: Identity) -> list[tuple[str, str, Answers]]:
    """Method, path and who answers."""
    return [
        ("POST", f"{PREFIX}/sign-in/staff", StaffSignIn(parts)),
        ("GET", f"{PREFIX}/enrolment", EnrolmentPage()),
        ("POST", f"{PREFIX}/enrolment", Enrol(parts)),
    ]
