"""Loading what a client sent through a schema; refusing it by field, in both languages.

marshmallow takes 20 to 40 µs for a small order, and every order pays them. So each schema is also
made into a plain reader, which either returns what the schema would or gives up; then the schema
itself is asked, for the errors. A property test holds the two together.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from marshmallow import ValidationError, missing

from shared.errors import INVALID, FieldError, Refused
from shared.schemas import Items, Part, Schema, field_error

ERRORS_MAX = 20
"""A problem document names at most so many fields."""

_FIELD_CHARACTERS_MAX = 100

Read = Callable[[Any], Any]


class Doubt(Exception):  # noqa: N818 - a way back, not an error
    """A plain reader leaves this value to the schema."""


class Loader:
    """Loads values through one schema."""

    def __init__(self, schema: type[Schema]) -> None:
        self._schema = schema()
        self._read = _reader(self._schema)

    def load(self, data: object, *, whole: str = "body") -> dict[str, Any]:
        """What `data` says, checked. Raises Refused(INVALID) naming every field that is wrong.

        `whole` names what is wrong where that is no single field.
        """
        try:
            return self._read(data)  # type: ignore[no-any-return] # as the schema's own load
        except (Doubt, ValidationError):
            return self.load_slowly(data, whole)

    def load_slowly(self, data: object, whole: str) -> dict[str, Any]:
        """As `load`, by the schema itself."""
        try:
            loaded: dict[str, Any] = self._schema.load(data)  # type: ignore[arg-type] # it checks
        except ValidationError as error:
            raise Refused(INVALID, fields=_field_errors(error.messages, whole)) from None
        return loaded


def _reader(schema: Any) -> Read:
    """A function that reads what is plainly right for a schema, and doubts the rest."""
    fields = [
        (name, _read_of(field), field.required, field.allow_none, field.load_default)
        for name, field in schema.load_fields.items()
    ]

    def read(data: Any) -> dict[str, Any]:
        if type(data) is not dict:
            raise Doubt
        loaded: dict[str, Any] = {}
        known = 0
        for name, read_value, required, nullable, default in fields:
            value = data.get(name, missing)
            if value is missing:
                if required:
                    raise Doubt
                if default is not missing:
                    loaded[name] = default
                continue
            known += 1
            if value is None and nullable:
                loaded[name] = None
            elif value is None:
                raise Doubt
            else:
                loaded[name] = read_value(value)
        if known != len(data):
            raise Doubt
        return loaded

    return read


def _read_of(field: Any) -> Read:
    if isinstance(field, Part):
        return _reader(field.schema)
    if isinstance(field, Items):
        return _reader_of_items(field)
    read: Callable[..., Any] = field._deserialize  # noqa: SLF001 - all that our fields do with a value
    return lambda value: read(value, None, None)


def _reader_of_items(items: Items) -> Read:
    read_item = _read_of(items.inner)
    minimum, maximum = items.minimum, items.maximum

    def read(value: Any) -> list[Any]:
        if type(value) is not list or not minimum <= len(value) <= maximum or None in value:
            raise Doubt
        return [read_item(item) for item in value]

    return read


def _field_errors(messages: Any, whole: str) -> list[FieldError]:
    found: list[FieldError] = []
    for path, code in _flattened(messages, ""):
        found.append(field_error(path[:_FIELD_CHARACTERS_MAX] or whole, code))
        if len(found) == ERRORS_MAX:
            break
    return found


def _flattened(messages: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            step = path if name == "_schema" else f"{path}.{name}" if path else str(name)
            yield from _flattened(inner, step)
    else:
        yield from ((path, code) for code in messages)
