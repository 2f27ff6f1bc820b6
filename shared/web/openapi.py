"""The OpenAPI 3.1 document of a service, made of its routes' declarations and schemas.

Every problem that a route may answer is named there, by its `type`; what a route answers beyond
that is a defect, and generated requests look for it.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin, resolver

from shared.errors import Problem
from shared.language import Language, Words
from shared.schemas import INTEGER_MAX, Schema
from shared.web.problems import MEDIA_TYPE, type_of
from shared.web.routes import Binary, Route, Router

VERSION = "1.0.0"
IDENTIFIER_PATTERN = "^[A-Za-z0-9_.-]{1,100}$"

_TEXT: dict[str, Any] = {"type": "string"}
_SEQ: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "additionalProperties": False,
                "properties": {"field": _TEXT, "message": _TEXT},
            },
        },
    },
}

_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"schema": _TEXT, "required": True},
    "Content-Language": {"schema": {"type": "string", "enum": ["zh-CN", "en"]}},
    "Commit-Seq": {
        "description": Words(
            "答复所依据的日志序号；随下次请求发回，即可读到自己的写入",
            "The journal entry that the answer rests on; send it back to read your own write",
        ),
        "schema": _SEQ,
    },
    "ETag": {"schema": _TEXT},
}

_RETRY_AFTER: dict[str, Any] = {
    "description": Words("几秒后再试", "Seconds until it is worth another try"),
    "schema": {"type": "integer", "minimum": 0},
}
_HEADERS_OF: dict[int, dict[str, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"schema": _TEXT}},
    403: {"WWW-Authenticate": {"schema": _TEXT}},
    429: {"Retry-After": _RETRY_AFTER},
    503: {"Retry-After": _RETRY_AFTER},
}
"""What a refusal says in a header beyond what all answers do, by its status."""

_FOR_OTHERS = Words("；可由监护人或服务站代办", "; guardians and service stations may act here")


def document(
    router: Router[Any], routes: Iterable[Route[Any]], language: Language
) -> dict[str, Any]:
    """The document of `router` with `routes`, its words in `language`."""
    plugin = MarshmallowPlugin(schema_name_resolver=_component_name)
    spec = APISpec(
        title=router.title.into(language),
        version=VERSION,
        openapi_version="3.1.0",
        plugins=[plugin],
        servers=[{"url": "/"}],
    )
    spec.components.security_scheme(
        "bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    )
    spec.components.schema("Problem", _PROBLEM)
    for route in routes:
        assert plugin.converter is not None  # noqa: S101 - the plugin has one once it is in a spec
        parameters = [*_path(route), *_headers(route)]
        if route.query is not None:
            parameters += plugin.converter.schema2parameters(route.query, location="query")
        operation = _operation(route, parameters)
        spec.path(path=route.address, operations={route.method.lower(): operation})
    in_words: dict[str, Any] = _into(spec.to_dict(), language)
    return in_words


def _component_name(schema: Any) -> str:
    return resolver(schema).removesuffix("Schema")


def _into(value: Any, language: Language) -> Any:
    """`value` with every `Words` in it as text."""
    if isinstance(value, Words):
        return value.into(language)
    if isinstance(value, Mapping):
        return {name: _into(inner, language) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_into(inner, language) for inner in value]
    return value


def _operation(route: Route[Any], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": {**_success(route), **_refusals(route.problems)},
        "security": [] if route.scope is None else [{"bearer": [route.scope]}],
    }
    if route.roles:
        roles = ", ".join(sorted(route.roles))
        others = _FOR_OTHERS if route.for_others else Words("", "")
        operation["description"] = Words(
            f"需要角色：{roles}{others.zh}", f"Needs a role: {roles}{others.en}"
        )
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _operation_id(route: Route[Any]) -> str:
    return route.view.__name__


def _content(kind: type[Schema] | Binary) -> dict[str, Any]:
    if isinstance(kind, Binary):
        # OpenAPI 3.1 says of raw content only its media type.
        return {media_type: {} for media_type in kind.media_types}
    return _json(kind)


def _json(schema: type[Schema]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if schema.EXAMPLE is not None:
        content["example"] = schema.EXAMPLE
    return {"application/json": content}


def _parameter(where: str, name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"in": where, "name": name, "schema": schema, "required": where == "path", **more}


def _path(route: Route[Any]) -> list[dict[str, Any]]:
    schema = {"type": "string", "pattern": IDENTIFIER_PATTERN}
    return [_parameter("path", name, schema) for name in route.parameters]


def _headers(route: Route[Any]) -> list[dict[str, Any]]:
    language = {"type": "string", "examples": ["zh-CN", "en"]}
    found = [
        _parameter("header", "Accept-Language", language),
        _parameter("header", "Commit-Seq", _SEQ, description=_HEADERS["Commit-Seq"]["description"]),
    ]
    if route.method == "GET":
        found.append(_parameter("header", "If-None-Match", _TEXT))
    if route.once:
        key = {"type": "string", "pattern": "^[!-~]{1,128}$"}
        found.append(
            _parameter(
                "header",
                "Idempotency-Key",
                key,
                required=True,
                description=Words(
                    "每个意图一个新值，重试时不变；保留 72 小时。最好用 UUIDv7",
                    "New for each intent, the same when it is repeated; kept for 72 hours. Best a"
                    " UUIDv7",
                ),
            )
        )
    if route.conditional:
        found.append(
            _parameter(
                "header",
                "If-Match",
                {"type": "string", "pattern": '^"[!#-~]{1,100}"$'},
                required=True,
                description=Words("读取时得到的 ETag", "The ETag that it was read with"),
            )
        )
    return found


def _success(route: Route[Any]) -> dict[str, Any]:
    headers = dict(_HEADERS)
    if route.status == 201:
        headers["Location"] = {"schema": _TEXT}
    answers: dict[str, Any] = {
        str(route.status): {
            "description": route.summary,
            "headers": headers,
            "content": _content(route.answer),
        }
    }
    if route.method == "GET":
        unchanged = Words("与 If-None-Match 相同", "The same as If-None-Match says")
        answers["304"] = {"description": unchanged, "headers": _HEADERS}
    return answers


def _refusals(problems: tuple[Problem, ...]) -> dict[str, Any]:
    ordered = sorted(problems, key=lambda problem: (problem.status, problem.slug))
    return {
        str(status): _refusal(status, list(group))
        for status, group in groupby(ordered, key=lambda problem: problem.status)
    }


def _refusal(status: int, problems: list[Problem]) -> dict[str, Any]:
    """One status: which types it may have, and an example of each."""
    types = {"properties": {"type": {"enum": [type_of(problem) for problem in problems]}}}
    return {
        "description": Words(
            "；".join(problem.zh for problem in problems),
            "; ".join(problem.en for problem in problems),
        ),
        "headers": {
            **{name: _HEADERS[name] for name in ("X-Request-Id", "Content-Language")},
            **_HEADERS_OF.get(status, {}),
        },
        "content": {
            MEDIA_TYPE: {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, types]},
                "examples": {problem.slug: {"value": _example(problem)} for problem in problems},
            }
        },
    }


def _example(problem: Problem) -> dict[str, Any]:
    return {
        "type": type_of(problem),
        "title": Words(problem.zh, problem.en),
        "status": problem.status,
        "request_id": "0d9f0c4f1a5b4e0e8a63b5a0d6c1c7aa",
    }
