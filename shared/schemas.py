"""Bases for JSON in and out: fields that check strictly, and errors in both languages.

A schema is read three ways: requests are loaded through it, the OpenAPI document is made of it,
and tests hold answers against it. Answers are not dumped through it: that costs more than a whole
read from the replica.

Fields are required and take no null unless they say otherwise. What is undeclared is refused.
"""

import re
from datetime import date
from typing import Any, ClassVar

from marshmallow import RAISE, ValidationError, fields
from marshmallow import Schema as MarshmallowSchema

from shared.auth.acting import KINDS
from shared.errors import FieldError
from shared.language import Words

INTEGER_MAX = (1 << 53) - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

# C0 and C1 controls, and the controls that turn the direction of the text around them.
CONTROL = r"\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069"
_TEXT = f"^[^{CONTROL}]*$"
_VISIBLE_TEXT = rf"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$"

_DAY = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"

_MESSAGES = {
    "required": Words("必填", "is required"),
    "null": Words("不能为 null", "may not be null"),
    "unknown": Words("没有此字段", "is not a field here"),
    "twice": Words("只能出现一次", "may be given only once"),
    "object": Words("须为 JSON 对象", "has to be a JSON object"),
    "list": Words("须为数组", "has to be an array"),
    "text": Words("须为字符串", "has to be a string"),
    "integer": Words("须为整数", "has to be an integer"),
    "boolean": Words("须为 true 或 false", "has to be true or false"),
    "length": Words("长度须为 {0} 至 {1} 个字符", "has to have {0} to {1} characters"),
    "items": Words("须有 {0} 至 {1} 项", "has to have {0} to {1} items"),
    "range": Words("须在 {0} 至 {1} 之间", "has to be from {0} to {1}"),
    "choice": Words("须为以下之一：{0}", "has to be one of {0}"),
    "pattern": Words("格式不正确", "does not have the right form"),
    "form": Words("格式须如 {0}", "has to look like {0}"),
    "key": Words("须为 1 至 128 个可见 ASCII 字符", "has to be 1 to 128 visible ASCII characters"),
    "etag": Words("须为读取时得到的一个 ETag", "has to be one ETag, as it was read"),
    "characters": Words("含有控制字符", "contains control characters"),
    "blank": Words("不能为空白", "may not be blank"),
    "day": Words("没有这一天", "is no day of the calendar"),
    "cursor": Words("游标无效或属于另一列表", "is no cursor of this list"),
}


DIVISION = r"^62[0-9]{4}$"
ID = r"^[A-Za-z0-9_.-]{1,100}$"
LOCAL_NAME = Words("调用者语言的名称", "The name in the caller's language")
PLACE = Words("县或市州区划代码", "The code of a county or of a prefecture")
COUNTY = Words("县级区划代码，GB/T 2260", "A county's code, GB/T 2260")
SAMPLE = Words("演示数据，并非真实", "Made up for a demonstration, not real")


Example = dict[str, Any]
"""A whole object as it might be, for the documentation."""


def refusal(code: str, *arguments: object) -> ValidationError:
    """The error of one field, as a code of `_MESSAGES` that both languages are made of."""
    return ValidationError("|".join([code, *map(str, arguments)]))


def field_error(field: str, code: str) -> FieldError:
    """The bilingual form of a code that `refusal` made."""
    name, *arguments = code.split("|")
    words = _MESSAGES[name]
    return FieldError(field, words.zh.format(*arguments), words.en.format(*arguments))


class Schema(MarshmallowSchema):
    """The base of every schema: undeclared members are refused, errors are codes."""

    class Meta:
        unknown = RAISE

    EXAMPLE: ClassVar[Example | None] = None
    error_messages = {"unknown": "unknown", "type": "object"}  # noqa: RUF012 - marshmallow's own


def _options(doc: Words | None, *, required: bool = True, **documented: Any) -> dict[str, Any]:
    """What every field passes on: whether it is required, codes for errors, documentation."""
    metadata = {name: value for name, value in documented.items() if value is not None}
    if doc is not None:
        metadata["description"] = doc
    codes = {"required": "required", "null": "null"}
    return {"required": required, "metadata": metadata, "error_messages": codes}


class Text(fields.String):
    """Text without control characters; not blank, unless `minimum` is 0. Lengths in characters."""

    def __init__(
        self,
        maximum: int,
        *,
        minimum: int = 1,
        pattern: str | None = None,
        required: bool = True,
        nullable: bool = False,
        default: str | None = None,
        doc: Words | None = None,
        example: str | None = None,
    ) -> None:
        self.minimum, self.maximum = minimum, maximum
        self.pattern = re.compile(pattern) if pattern else None
        self.form = example
        options = _options(
            doc,
            required=required,
            minLength=minimum,
            maxLength=maximum,
            pattern=pattern or (_VISIBLE_TEXT if minimum else _TEXT),
            examples=None if example is None else [example],
        )
        if default is not None:
            options["load_default"] = default
        super().__init__(allow_none=nullable, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str:
            raise refusal("text")
        if not self.minimum <= len(value) <= self.maximum:
            raise refusal("length", self.minimum, self.maximum)
        if self.pattern is not None:
            if self.pattern.fullmatch(value) is None:
                raise refusal("form", self.form) if self.form else refusal("pattern")
            return value
        if _CONTROL_CHARACTER.search(value):
            raise refusal("characters")
        if self.minimum and not value.strip():
            raise refusal("blank")
        return value


_CONTROL_CHARACTER = re.compile(f"[{CONTROL}]")


class Whole(fields.Integer):
    """An integer within bounds; 1.0 is one (JSON Schema, section 6.1.1), true is not."""

    def __init__(
        self,
        minimum: int,
        maximum: int,
        *,
        required: bool = True,
        doc: Words | None = None,
        example: int | None = None,
        default: int | None = None,
    ) -> None:
        self.minimum, self.maximum = minimum, maximum
        options = _options(
            doc,
            required=required,
            minimum=minimum,
            maximum=maximum,
            examples=None if example is None else [example],
        )
        if default is not None:
            options["load_default"] = default
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        whole: int = value if type(value) is int else _whole(value)
        if not self.minimum <= whole <= self.maximum:
            raise refusal("range", self.minimum, self.maximum)
        return whole


def _whole(value: Any) -> int:
    if type(value) is float and value.is_integer():
        return int(value)
    raise refusal("integer")


class QueryWhole(Whole):
    """An integer in a query string, in plain decimal digits."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", value):
            raise refusal("integer")
        return super()._deserialize(int(value))


class Choice(fields.String):
    """One of a few names."""

    def __init__(
        self,
        *names: str,
        required: bool = True,
        doc: Words | None = None,
        default: str | None = None,
    ) -> None:
        self.names = names
        options = _options(doc, required=required, enum=list(names))
        if default is not None:
            options["load_default"] = default
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if value not in self.names:
            raise refusal("choice", ", ".join(self.names))
        return str(value)


class Flag(fields.Boolean):
    """true or false, and nothing that looks like them."""

    def __init__(self, *, required: bool = True, doc: Words | None = None) -> None:
        super().__init__(**_options(doc, required=required))

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise refusal("boolean")
        return value


class Part(fields.Nested):
    """An object within an object."""

    def __init__(
        self, schema: type[Schema], *, required: bool = True, doc: Words | None = None
    ) -> None:
        super().__init__(schema, **_options(doc, required=required))


class Items(fields.List[Any]):
    """An array of bounded length."""

    def __init__(
        self,
        item: fields.Field[Any] | type[Schema],
        maximum: int,
        *,
        minimum: int = 0,
        required: bool = True,
        doc: Words | None = None,
    ) -> None:
        self.minimum, self.maximum = minimum, maximum
        inner = item if isinstance(item, fields.Field) else Part(item)
        super().__init__(
            inner, **_options(doc, required=required, minItems=minimum, maxItems=maximum)
        )

    def _deserialize(self, value: Any, *arguments: Any, **named: Any) -> list[Any]:
        if type(value) is not list:
            raise refusal("list")
        # Before the items are looked at: a long list is not worth its checking.
        if not self.minimum <= len(value) <= self.maximum:
            raise refusal("items", self.minimum, self.maximum)
        items: list[Any] = super()._deserialize(value, *arguments, **named)
        return items


class Instant(Text):
    """A time in answers: RFC 3339, UTC, to the millisecond."""

    def __init__(self, *, required: bool = True, doc: Words | None = None) -> None:
        super().__init__(
            24, pattern=_INSTANT, required=required, doc=doc, example="2026-05-01T08:30:00.000Z"
        )
        self.metadata = {**self.metadata, "format": "date-time"}


class Day(Text):
    """A day of the calendar: RFC 3339, full-date."""

    def __init__(
        self, *, required: bool = True, doc: Words | None = None, example: str | None = None
    ) -> None:
        super().__init__(10, pattern=_DAY, required=required, doc=doc, example=example)
        self.form = example or "2026-05-01"
        self.metadata = {**self.metadata, "format": "date"}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        written = super()._deserialize(value)
        try:
            date.fromisoformat(written)
        except ValueError:
            raise refusal("day") from None
        return written


class TimeOfDay(Text):
    """A time of day, to the minute: 08:30."""

    def __init__(self, *, doc: Words | None = None, example: str | None = None) -> None:
        super().__init__(5, pattern=_TIME_OF_DAY, doc=doc, example=example)
        self.form = example or "08:30"


class MoneySchema(Schema):
    """An amount of money in the currency's smallest unit: fen for CNY (ISO 4217)."""

    amount = Whole(0, INTEGER_MAX, example=4900, doc=Words("分", "in fen"))
    currency = Choice("CNY")


class ActSchema(Schema):
    """Something that was done for a person by somebody else. Not who: accounts are nobody's."""

    did = Text(20, doc=Words("所办之事", "What was done"))
    kind = Choice(*KINDS, doc=Words("代办人身份", "What the one who acted is to the person"))
    delegation_id = Text(
        100, pattern=ID, doc=Words("所凭授权，可撤回", "By which delegation, which can be revoked")
    )


def acted_by() -> Items:
    """The member of an answer that says what others did for its person; absent where nobody did."""
    return Items(
        ActSchema,
        ACTS_MAX,
        required=False,
        doc=Words("由他人代办之事", "What others did here for the person"),
    )


ACTS_MAX = 10


def money(fen: int) -> dict[str, object]:
    """An amount in answers."""
    return {"amount": fen, "currency": "CNY"}


class PageQuery(Schema):
    """What every list takes."""

    LIMIT_MAX = 100

    limit = QueryWhole(
        1, LIMIT_MAX, required=False, default=20, doc=Words("每页条数", "how many at most")
    )
    after = Text(
        1024,
        pattern=r"^[A-Za-z0-9_-]+$",
        required=False,
        doc=Words("上一页的 after", "the `after` of the page before"),
    )
