"""Closed forms as data: one text is both what is evaluated and what ``--explain`` prints.

A formula such as ``"B*S*n*m"`` is written beside the numpy code whose cost it states, in that layer's own
symbols. ``Dims`` gives each symbol its value for one network, and the name it goes by there (``n`` -> ``n2``).
All values are Python integers: exact at any size.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import TypeAlias

CATEGORIES = ("multiplies", "macs", "additions", "divisions", "special", "comparisons")
_GLOBALS = {"__builtins__": {}, "min": min, "max": max}


@dataclass(frozen=True, slots=True)
class Counts:
    """Scalar operations by category; ``macs`` is the part of ``multiplies`` that sits inside contractions."""

    multiplies: int = 0
    macs: int = 0
    additions: int = 0
    divisions: int = 0
    special: int = 0
    comparisons: int = 0

    @property
    def flops(self) -> int:
        """The sum of all categories (``macs`` is inside ``multiplies`` already)."""
        return self.multiplies + self.additions + self.divisions + self.special + self.comparisons

    def __add__(self, other: Counts) -> Counts:
        """Add category by category."""
        return Counts(
            self.multiplies + other.multiplies,
            self.macs + other.macs,
            self.additions + other.additions,
            self.divisions + other.divisions,
            self.special + other.special,
            self.comparisons + other.comparisons,
        )

    def __sub__(self, other: Counts) -> Counts:
        """Subtract category by category."""
        return self + other.times(-1)

    def times(self, factor: int) -> Counts:
        """Return the counts of ``factor`` repetitions."""
        return Counts(*(getattr(self, name) * factor for name in CATEGORIES))

    def as_dict(self) -> dict[str, int]:
        """Return every category and ``flops``, in the report's order."""
        return {name: getattr(self, name) for name in CATEGORIES} | {"flops": self.flops}


@dataclass(frozen=True, slots=True)
class Dims:
    """The values of a layer's symbols and the names they are shown by.

    A symbol without a name is quiet: it is left out of the text where it is 1 (as a factor) or 0 (its term).
    """

    values: Mapping[str, int]
    names: Mapping[str, str]

    def extended(self, values: Mapping[str, int], names: Mapping[str, str]) -> Dims:
        """Return these symbols and some more."""
        return Dims({**self.values, **values}, {**self.names, **names})


class Cost:
    """Closed forms of one operation's counts, and of the workspace that it holds beyond its operands and results.

    Args:
        macs: multiplies inside contractions.
        products: multiplies outside contractions.
        additions: additions, subtractions and sign changes.
        divisions: divisions.
        special: exp, log, tanh, sqrt, erf and the like.
        comparisons: comparisons, maxima and minima.
        workspace: the most bytes held at once in temporaries; ``i`` is those of one element.
    """

    def __init__(
        self,
        *,
        macs: str = "0",
        products: str = "0",
        additions: str = "0",
        divisions: str = "0",
        special: str = "0",
        comparisons: str = "0",
        workspace: str = "0",
    ) -> None:
        """Keep the texts; they are compiled on first use."""
        multiplies = _sum(macs, products)
        self.products = products
        self.texts = dict(zip(CATEGORIES, (multiplies, macs, additions, divisions, special, comparisons), strict=True))
        self.workspace = workspace

    @cached_property
    def _code(self) -> CodeType:
        parts = [*self.texts.values(), self.workspace]
        return compile("(" + ", ".join(f"({part})" for part in parts) + ")", "<closed form>", "eval")

    @cached_property
    def _trees(self) -> dict[str, ast.expr]:
        return {category: ast.parse(text, mode="eval").body for category, text in self.texts.items()}

    def evaluate(self, dims: Dims) -> tuple[int, ...]:
        """Return the count of each category, in the order of ``CATEGORIES``, and the bytes of the workspace."""
        values: tuple[int, ...] = eval(self._code, _GLOBALS, dims.values)  # our own constant text, never the user's
        return values

    def then(self, other: Cost, workspace: str) -> Cost:
        """Return the closed forms of this operation and another behind it, which together hold that workspace."""
        both = {name: _sum(text, other.texts[name]) for name, text in self.texts.items() if name != "multiplies"}
        return Cost(**both, products=_sum(self.products, other.products), workspace=workspace)

    def explain(self, category: str, dims: Dims) -> tuple[str, str]:
        """Return one category's closed form in the network's symbols and with its numbers; empty if it is zero."""
        symbolic, numeric, _ = _render(self._trees[category], dims)
        return ("", "") if symbolic == "0" else (symbolic, numeric)


@dataclass(frozen=True, slots=True)
class Term:
    """One operation's closed form with its dimensions, done ``times`` times."""

    cost: Cost
    dims: Dims
    times: int = 1


def substituted(formula: str, symbols: Mapping[str, str]) -> str:
    """Return a formula with other formulas in place of symbols."""
    return re.sub(r"[A-Za-z]\w*", lambda name: f"({symbols[name[0]]})" if name[0] in symbols else name[0], formula)


def _sum(*texts: str) -> str:
    return " + ".join(text for text in texts if text != "0") or "0"


def explain(terms: Iterable[Term], category: str) -> str:
    """Write the closed form of several operations: ``B*n2*n1*n0 = 1*1*4*3 = 12``; empty where there is none."""
    merged: dict[tuple[str, str], int] = {}
    total = 0
    for term in terms:
        total += term.cost.evaluate(term.dims)[CATEGORIES.index(category)] * term.times
        text = term.cost.explain(category, term.dims)
        if text[0]:
            merged[text] = merged.get(text, 0) + term.times
    if not merged:
        return ""

    def joined(index: int) -> str:
        return " + ".join(f"{n}*({text[index]})" if n > 1 else text[index] for text, n in merged.items())

    symbolic, numeric = joined(0), joined(1)
    return f"{symbolic} = {numeric} = {total}" if numeric != str(total) else f"{symbolic} = {total}"


_PRECEDENCE = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.FloorDiv: 2}
_SIGN = {ast.Add: " + ", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//"}
_Text: TypeAlias = tuple[str, str, bool]
_ZERO: _Text = ("0", "0", True)


def _render(tree: ast.expr, dims: Dims, level: int = 0) -> _Text:
    """Write a formula in symbols and in numbers, leaving out quiet factors of 1 and terms of 0.

    The third value tells whether all its symbols are quiet.
    """
    match tree:
        case ast.Constant(value=value):
            return str(value), str(value), True
        case ast.Name(id=name):
            number = str(dims.values[name])
            return (dims.names[name], number, False) if name in dims.names else (number, number, True)
        case ast.Call(func=ast.Name(id=function), args=args):
            parts = [_render(argument, dims) for argument in args]
            symbolic, numeric = ", ".join(part[0] for part in parts), ", ".join(part[1] for part in parts)
            return f"{function}({symbolic})", f"{function}({numeric})", all(part[2] for part in parts)
        case ast.BinOp(left=left, op=op, right=right):
            precedence = _PRECEDENCE[type(op)]
            a = _render(left, dims, precedence)
            b = _render(right, dims, precedence + isinstance(op, ast.Sub | ast.FloorDiv))
            simple = _simplify(op, a, b)
            if simple is not None:
                return simple
            opening, closing = "()" if precedence < level else ("", "")
            sign = _SIGN[type(op)]
            return (
                f"{opening}{a[0]}{sign}{b[0]}{closing}",
                f"{opening}{a[1]}{sign}{b[1]}{closing}",
                a[2] and b[2],
            )
    raise AssertionError(f"a formula may not contain {ast.dump(tree)}")


def _simplify(op: ast.operator, a: _Text, b: _Text) -> _Text | None:
    """Drop what is quiet and changes nothing; a symbol that is shown never is 0."""
    if isinstance(op, ast.Mult):
        if "0" in (a[0], b[0]):
            return _ZERO
        if a[0] == "1" and a[2]:
            return b
        if b[0] == "1" and b[2]:
            return a
    if a[0] == "0" and isinstance(op, ast.Add):
        return b
    return a if b[0] == "0" else None
