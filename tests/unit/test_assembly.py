"""What services are put together from says which part is which."""

import ast
from collections.abc import Callable
from inspect import signature
from typing import Any

from shared import assembly
from shared.clock import SystemClock
from shared.writer import writer_name

PARTS: dict[str, Callable[..., Any]] = {
    "open_database": assembly.open_database,
    "open_edge": assembly.open_edge,
}


def test_what_may_be_left_out_is_named() -> None:
    for part in PARTS.values():
        optional = [each for each in signature(part).parameters.values() if each.default is None]
        assert optional
        assert all(each.kind is each.KEYWORD_ONLY for each in optional)


def test_the_example_fits() -> None:
    example = (assembly.__doc__ or "").partition("\n\n")[2].replace("…, ", "")
    calls = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Call)]
    for call in calls:
        part = PARTS.get(ast.unparse(call.func))
        if part is not None:
            named = {str(keyword.arg): None for keyword in call.keywords}
            signature(part).bind(*call.args, **named)
    assert {ast.unparse(call.func) for call in calls} >= PARTS.keys()


def test_each_process_of_a_container_signs_with_a_name_of_its_own() -> None:
    one, other = (writer_name("commerce-1", SystemClock()) for _ in range(2))
    assert one != other
    assert one.startswith("commerce-1.")
    assert "." not in writer_name("", SystemClock())
