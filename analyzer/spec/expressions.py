"""``=4*width``: integer arithmetic on variables, in place of any value of a spec. No other code is ever evaluated."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from gradcost.errors import nearest
from gradcost.spec.located import Located

MAX_LENGTH = 200
MAX_BITS = 256
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def substitute(node: Located, variables: Mapping[str, int]) -> Located:
    """Return the value with every text that starts with ``=`` replaced by the integer that it stands for.

    Raises:
        SpecError: the expression is no integer arithmetic, or names an unknown variable.
    """
    value = node.value
    if isinstance(value, str):
        return Located(evaluate(node, variables), node.where) if value.startswith("=") else node
    if isinstance(value, list):
        items = [substitute(item, variables) for item in value]
        return Located(items, node.where) if any(a is not b for a, b in zip(items, value, strict=True)) else node
    if isinstance(value, dict):
        entries = {key: substitute(item, variables) for key, item in value.items()}
        return Located(entries, node.where, node.keys) if any(entries[k] is not value[k] for k in value) else node
    return node


def evaluate(node: Located, variables: Mapping[str, int]) -> int:
    """Return the value of one expression, its leading ``=`` included. Raises as ``substitute``."""
    text = node.value[1:].strip()
    if len(text) > MAX_LENGTH:
        raise node.error(f"an expression may have {MAX_LENGTH} characters at most")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise node.error(f"{node.value!r} is not arithmetic; write for example =4*width or =(width+1)//2") from None
    return _value(tree, node, variables)


def _value(tree: ast.expr, node: Located, variables: Mapping[str, int]) -> int:
    match tree:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            result = number
        case ast.Name(id=name):
            if name not in variables:
                raise node.error(f"unknown variable {name!r}{nearest(name, variables)}")
            result = variables[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            result = -_value(operand, node, variables)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = _value(left, node, variables), _value(right, node, variables)
            if b == 0 and isinstance(op, ast.FloorDiv | ast.Mod):
                raise node.error(f"{node.value!r} divides by zero")
            result = _OPERATORS[type(op)](a, b)
        case _:
            raise node.error(f"{node.value!r}: only whole numbers, variables, + - * // % and brackets are allowed")
    if result.bit_length() > MAX_BITS:
        raise node.error(f"{node.value!r} grows beyond {MAX_BITS} bits")
    return result
