"""What dashboards and alerts ask for, held against what is measured (`shared/observe/measures.py`).

Beside its own labels every measure has `service`, and Prometheus adds where it was collected
(`instance`, `job`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as promql

from shared.observe import measures

COLLECTED = frozenset({"service", "instance", "job"})


def series() -> dict[str, frozenset[str]]:
    """Every name that can be asked for, and the labels that it has."""
    known = {"up": frozenset({"instance", "job"})}
    for measure in (*measures.SERVICES, *measures.GATEWAY, *measures.NOTIFIERS):
        labels = COLLECTED | set(measure.labels)
        if measure.kind == "histogram":
            known[f"{measure.name}_bucket"] = labels | {"le"}
            known[f"{measure.name}_count"] = known[f"{measure.name}_sum"] = labels
        else:
            known[measure.name] = labels
    return known


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression: which series it reads, and which labels its answer has."""

    read: frozenset[str]
    labels: frozenset[str]
    unknown: tuple[str, ...]
    """Series that nobody measures, and labels that a series does not have."""


def asked(text: str) -> Asked:
    """Parse an expression. Raises ValueError for what is no PromQL."""
    expr = promql.parse(text)
    known = series()
    selectors = list(_selectors(expr))
    unknown = [each.name for each in selectors if each.name not in known]
    for each in selectors:
        mine = known.get(each.name or "", frozenset())
        unknown += [
            f"{each.name}{{{matcher.name}}}"
            for matcher in each.matchers.matchers
            if matcher.name not in mine
        ]
    given = _labels(expr, unknown)
    return Asked(
        frozenset(each.name or "" for each in selectors),
        frozenset(given),
        tuple(each or "a series without a name" for each in unknown),
    )


def _selectors(expr: promql.Expr) -> Iterator[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(expr, visit)
    return iter({str(each): each for each in found}.values())


def _labels(expr: promql.Expr, unknown: list[str | None]) -> set[str]:  # noqa: PLR0911 - one a kind
    """The labels of an expression's answer; grouping by what is not there is noted."""
    match expr:
        case promql.VectorSelector():
            return set(series().get(expr.name or "", ()))
        case promql.MatrixSelector():
            return _labels(expr.vector_selector, unknown)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _labels(expr.expr, unknown)
        case promql.AggregateExpr():
            inner = _labels(expr.expr, unknown)
            if expr.modifier is None:
                # topk and its kin leave the series as they are
                return inner if expr.param is not None else set()
            assert expr.modifier.type == promql.AggModifierType.By, "written with `by` alone"
            unknown += [f"by ({each})" for each in expr.modifier.labels if each not in inner]
            return set(expr.modifier.labels)
        case promql.Call():
            return _of_call(expr, unknown)
        case promql.BinaryExpr():
            return _of_pair(expr, unknown)
        case _:
            return set()


def _of_call(call: promql.Call, unknown: list[str | None]) -> set[str]:
    if call.func.name == "absent":
        return set()
    inner = set[str]().union(*(_labels(each, unknown) for each in call.args))
    if call.func.name == "histogram_quantile":
        if "le" not in inner:
            unknown.append("histogram_quantile without le")
        inner.discard("le")
    return inner


def _of_pair(pair: promql.BinaryExpr, unknown: list[str | None]) -> set[str]:
    """A pair of vectors has to be matched by the same labels, or by those that `on` names."""
    left, right = _labels(pair.lhs, unknown), _labels(pair.rhs, unknown)
    matching = pair.modifier.matching if pair.modifier else None
    if matching is not None:
        unknown += [f"on ({each})" for each in matching.labels if each not in left & right]
    elif left and right and left != right:
        unknown.append(f"{sorted(left)} meets {sorted(right)}")
    return left or right
