"""Signing in, in a browser: what an app asks for, a number, a code, and back to the app.

GET  /authorize       the page that asks for a number
POST /sign-in/code    a code is sent; the page that asks for it
POST /sign-in         the code was right: back to the app
"""

from collections.abc import Callable

from services.identity.actions import authorizations, sign_ins
from services.identity.actions.authorizations import AuthorizationRefused, Checked
from services.identity.domain import sign_ins as domain
from services.identity.routes import forms, pages
from services.identity.routes.forms import Page
from services.identity.routes.parts import PREFIX, Identity
from shared.errors import BUSY, INVALID, Refused
from shared.language import Language, Words
from shared.web import requests
from shared.web.requests import Environ
from shared.web.responses import Rendered
from shared.web.service import Answers

_SHOWN_DIGITS = 4

_NOT_OURS = Words(
    "此页面已失效，或浏览器禁用了 Cookie。",
    "This page is too old, or cookies are off.",
)
_REFUSED = Words("应用的登录请求有误。", "The app's request to sign in is not right.")
_WRONG = Words("验证码不正确，请再试一次。", "That is not the code. Try again.")
_OVER = Words("验证码已失效，请重新获取。", "The code is no longer good. Ask for another.")

View = Callable[[Environ, Language], Rendered]


class SignIn:
    """The three pages, on identity's parts."""

    def __init__(self, parts: Identity) -> None:
        self._parts = parts
        self._secure = parts.issuing.issuer.startswith("https:")

    def authorize(self, environ: Environ, language: Language) -> Rendered:
        """An app's request, looked at before anybody is asked anything."""
        try:
            values = requests.query(environ)
            checked = authorizations.check(self._parts.database, self._parts.issuing, values)
        except AuthorizationRefused as refused:
            return self._refused(refused, language)
        browser = self._browser(environ) or self._parts.clock.random(16).hex()
        page = self._new_page(browser, checked)
        headers = (("Set-Cookie", forms.cookie(browser, secure=self._secure)),)
        return self._ask_number(page, checked, language, headers=headers)

    def send_code(self, environ: Environ, language: Language) -> Rendered:
        """A number, to which a code is sent."""
        values = forms.form(environ)
        page = self._opened(environ, values)
        if page is None:
            return _over(_NOT_OURS, language)
        checked, typed = self._checked(page), values.get("phone", "")
        if isinstance(checked, AuthorizationRefused):
            return self._refused(checked, language)
        if not typed.strip():
            return self._ask_number(page, checked, language)
        try:
            number = domain.number_of(typed)
            sign_in = self._send(environ, page, number)
        except Refused as refused:
            return self._not_sent(refused, page, checked, language)
        waiting = Page(
            page.id, page.browser, page.values, page.made_ms, sign_in, number[-_SHOWN_DIGITS:]
        )
        return self._ask_code(waiting, checked, language)

    def finish(self, environ: Environ, language: Language) -> Rendered:
        """A code; if it is right, back to the app."""
        values = forms.form(environ)
        page = self._opened(environ, values)
        if page is None or not page.sign_in:
            return _over(_NOT_OURS, language)
        checked, code = self._checked(page), "".join(values.get("code", "").split())
        if isinstance(checked, AuthorizationRefused):
            return self._refused(checked, language)
        parts = self._parts
        try:
            outcome = sign_ins.finish(
                parts.database, parts.issuing, page.sign_in, code, page.values
            )
        except AuthorizationRefused as refused:
            return self._refused(refused, language)
        except Refused as refused:
            return self._not_now(refused, page, checked, language)
        return self._outcome(outcome, page, checked, language)

    # Steps

    def _send(self, environ: Environ, page: Page, number: str) -> str:
        parts = self._parts
        asker = sign_ins.Asker(page.id, forms.address(environ))
        return sign_ins.send_code(
            parts.database, parts.issuing.secrets, number, asker, parts.codes_per_minute
        )

    def _new_page(self, browser: str, checked: Checked) -> Page:
        clock = self._parts.clock
        return Page(clock.random(16).hex(), browser, checked.values, clock.now_ms())

    def _opened(self, environ: Environ, values: dict[str, str]) -> Page | None:
        sealing, now_ms = self._parts.issuing.secrets.sealing, self._parts.clock.now_ms()
        return forms.opened(sealing, values.get("page", ""), self._browser(environ), now_ms)

    def _browser(self, environ: Environ) -> str | None:
        return forms.browser(environ, secure=self._secure)

    def _checked(self, page: Page) -> Checked | AuthorizationRefused:
        """The app's request once more: its client may have been closed meanwhile."""
        try:
            return authorizations.check(self._parts.database, self._parts.issuing, page.values)
        except AuthorizationRefused as refused:
            return refused

    # Pages

    def _outcome(
        self,
        outcome: sign_ins.SignedIn | sign_ins.NotYet,
        page: Page,
        checked: Checked,
        language: Language,
    ) -> Rendered:
        if isinstance(outcome, sign_ins.SignedIn):
            return pages.redirect(outcome.location)
        if outcome.over:
            fresh = self._new_page(page.browser, checked)
            return self._ask_number(fresh, checked, language, wrong=_OVER, status=403)
        return self._ask_code(page, checked, language, wrong=_WRONG, status=403)

    def _sealed(self, page: Page) -> str:
        return page.sealed(self._parts.issuing.secrets.sealing)

    def _ask_number(
        self,
        page: Page,
        checked: Checked,
        language: Language,
        *,
        wrong: Words | None = None,
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Rendered:
        values = {"page": self._sealed(page), "app": checked.app, "wrong": wrong}
        return pages.rendered(
            "phone",
            language,
            values,
            status=status,
            leads_to=checked.redirect,
            headers=headers,
        )

    def _ask_code(
        self,
        page: Page,
        checked: Checked,
        language: Language,
        *,
        wrong: Words | None = None,
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Rendered:
        again = self._new_page(page.browser, checked)
        values = {
            "page": self._sealed(page),
            "again": self._sealed(again),
            "shown": page.shown,
            "wrong": wrong,
        }
        return pages.rendered(
            "code", language, values, status=status, leads_to=checked.redirect, headers=headers
        )

    def _not_now(
        self, refused: Refused, page: Page, checked: Checked, language: Language
    ) -> Rendered:
        """The same page again: whoever stands before it knows nothing of problem documents."""
        if refused.problem is not BUSY:
            raise refused
        return self._ask_code(
            page,
            checked,
            language,
            wrong=Words(BUSY.zh, BUSY.en),
            status=BUSY.status,
            headers=pages.again(refused),
        )

    def _not_sent(
        self, refused: Refused, page: Page, checked: Checked, language: Language
    ) -> Rendered:
        problem = refused.problem
        if problem not in {INVALID, domain.TOO_MANY_CODES, BUSY}:
            raise refused
        told = refused.fields[0] if refused.fields else problem
        return self._ask_number(
            page,
            checked,
            language,
            wrong=Words(told.zh, told.en),
            status=problem.status,
            headers=pages.again(refused),
        )

    def _refused(self, refused: AuthorizationRefused, language: Language) -> Rendered:
        if refused.location is not None:
            return pages.redirect(refused.location)
        return _over(_REFUSED, language, refused.error)


def _over(wrong: Words, language: Language, error: str = "") -> Rendered:
    return pages.rendered("over", language, {"wrong": wrong, "error": error}, status=400)


class _Handler:
    """One of the pages, as the service's edge calls it."""

    def __init__(self, view: View) -> None:
        self._view = view

    def answer(self, environ: Environ, path: dict[str, str], language: Language) -> Rendered:  # noqa: ARG002
        return self._view(environ, language)


def endpoints(parts: Identity) -> list[tuple[str, str, Answers]]:
    """Method, path and who answers."""
    own = SignIn(parts)
    return [
        ("GET", f"{PREFIX}/authorize", _Handler(own.authorize)),
        ("POST", f"{PREFIX}/sign-in/code", _Handler(own.send_code)),
        ("POST", f"{PREFIX}/sign-in", _Handler(own.finish)),
    ]
