"""The plain readers of schemas, held to the schemas themselves."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from services.commerce.schemas import orders
from shared.errors import INVALID, Refused
from shared.loading import Loader
from shared.schemas import PageQuery, Schema
from tests.support.houses import HOUSES

FOUND = {schema for house in HOUSES for schema in house.schema_classes()}
SCHEMAS = sorted(FOUND | {PageQuery}, key=lambda schema: f"{schema.__module__}.{schema.__name__}")

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-5, 1100)
    | st.integers()
    | st.floats()
    | st.sampled_from(["CNY", "agricultural", "placed", "620103", "p", "", " ", "a\0b", "百合"])
    | st.text(max_size=5)
)

objects = (
    st.fixed_dictionaries({"amount": leaves, "currency": st.just("CNY")})
    | st.fixed_dictionaries({"product_id": leaves, "quantity": leaves})
    | st.dictionaries(st.sampled_from(["amount", "currency", "x"]), leaves, max_size=3)
)
values = leaves | st.lists(objects, max_size=3) | st.lists(leaves, max_size=2) | objects


def _members(schema: type[Schema]) -> st.SearchStrategy[Any]:
    """Objects that have the schema's members, more or less, and sometimes one too many."""
    names = [*schema().load_fields, "surplus"]
    return st.dictionaries(st.sampled_from(names), values, max_size=len(names))


values = st.deferred(
    lambda: leaves | st.lists(objects, max_size=3) | st.lists(leaves, max_size=2) | objects
)
objects = st.deferred(
    lambda: (
        st.fixed_dictionaries({"amount": leaves, "currency": st.just("CNY")})
        | st.fixed_dictionaries({"product_id": leaves, "quantity": leaves})
        | st.dictionaries(st.sampled_from(["amount", "currency", "x"]), leaves, max_size=3)
    )
)


@pytest.mark.fuzz
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_a_reader_says_what_its_schema_says(schema: type[Schema]) -> None:
    loader = Loader(schema)
    # The examples are good, so that not everything that is tried is refused.
    good = st.just(schema.EXAMPLE) if schema.EXAMPLE else st.nothing()
    fields = schema().load_fields
    mended = st.builds(
        lambda change: {**(schema.EXAMPLE or {}), **change},
        st.dictionaries(st.sampled_from([*fields]), values, max_size=1),
    )

    @settings(max_examples=60 if settings().derandomize else settings().max_examples)
    @given(good | mended | _members(schema) | values)
    def check(data: Any) -> None:
        if schema.__name__.endswith("Query") and not _is_query(data):
            return
        try:
            expected = schema().load(data)
        except ValidationError as error:
            _assert_refused_alike(loader, data, error)
        else:
            loaded = loader.load(data)
            assert loaded == expected
            assert _types(loaded) == _types(expected)

    check()


def _is_query(data: Any) -> bool:
    """Query strings have text members only; their schemas are made for nothing else."""
    return isinstance(data, dict) and all(isinstance(value, str) for value in data.values())


def _assert_refused_alike(loader: Loader, data: Any, error: ValidationError) -> None:
    with pytest.raises(Refused) as refused:
        loader.load(data)
    assert refused.value.problem is INVALID
    assert refused.value.fields
    named = {field.field.partition(".")[0] for field in refused.value.fields}
    assert named <= {*map(str, error.messages_dict), "body"}


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _types(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_types(inner) for inner in value]
    return type(value)


def test_the_reader_and_not_the_schema_reads_what_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(orders.NewOrderSchema)
    monkeypatch.setattr(loader, "load_slowly", None)
    assert loader.load(orders.NewOrderSchema.EXAMPLE) == orders.NewOrderSchema.EXAMPLE
