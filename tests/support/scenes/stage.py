"""A stage says how a service's things are put there; a scene is one set of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.test import TestResponse

from shared.web.routes import Binary, Route
from tests.support.served import Served

Ids = dict[str, str]
"""What stands in a path or is needed for a body, by name."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`furnish` puts one of everything there, of the people whose names end in 1, and can be called
    again. By route: `before` brings things to where the route can do its work, `bodies` is what is
    sent where the schema's example will not do, `tags` where the ETag is read, if elsewhere.
    `asked_by` says of which things somebody asks, where that depends on who does: on a role, which
    an account's name begins with.
    """

    furnish: Callable[[Any], Ids]
    before: Mapping[str, Callable[[Any, Ids], None]] = field(default_factory=dict)
    bodies: Mapping[str, Callable[[Ids], object]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    uploads: bytes = b""
    asked_by: Callable[[Ids, str], Ids] = lambda ids, _: ids

    def set(self, served: Served, route: Route[Any]) -> "Scene":
        """New things, ready for a route."""
        ids = self.furnish(served)
        if route.name in self.before:
            self.before[route.name](served, ids)
        return Scene(self, served, route, ids)


@dataclass(frozen=True, slots=True)
class Scene:
    """Things of which a route can be asked, as anybody."""

    stage: Stage
    served: Served
    route: Route[Any]
    ids: Ids

    @property
    def address(self) -> str:
        """The whole path, with what its query cannot do without."""
        fields = {} if self.route.query is None else self.route.query().fields
        asked = "&".join(
            f"{name}={each.metadata['examples'][0]}"
            for name, each in fields.items()
            if each.required
        )
        path = self.route.address.format(**self.ids)
        return f"{path}?{asked}" if asked else path

    def ask(self, token: str | None, owner: str) -> TestResponse:
        """The route, with everything right but perhaps the token, of the things that are
        `owner`'s, who reads the ETag.
        """
        return replace(self, ids=self.stage.asked_by(self.ids, owner))._ask(token, owner)

    def _ask(self, token: str | None, owner: str) -> TestResponse:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        method, body = self.route.method, self.route.body
        if method == "POST":
            headers["Idempotency-Key"] = self.served.new_key()
        if self.route.conditional:
            headers["If-Match"] = self._tag(owner)
        if isinstance(body, Binary):
            headers["Content-Type"] = body.media_types[0]
            return self._open(headers, data=self.stage.uploads)
        if body is None:
            return self._open(headers)
        make = self.stage.bodies.get(self.route.name)
        return self._open(headers, json=make(self.ids) if make else body.EXAMPLE)

    def _open(self, headers: dict[str, str], **content: Any) -> TestResponse:
        return self.served.client.open(
            self.address, method=self.route.method, headers=headers, **content
        )

    def _tag(self, owner: str) -> str:
        self.served.clock.pass_monotonic(2)
        path = self.stage.tags.get(self.route.name, self.route.path).format(**self.ids)
        return self.served.get(path, by=owner).headers["ETag"]
