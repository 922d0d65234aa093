"""Closed forms as data: one text is both what is evaluated and what ``--explain`` prints.

A formula such as ``"B*S*n*m"`` is written beside the numpy code whose cost it states, in that layer's own
symbols. ``Dims`` gives each symbol its value for one network, and the name it goes by there (``n`` -> ``n2``).
All values are Python integers: exact at any size.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import CodeType

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
        workspace: the largest number of elements held at once in temporaries.
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
        multiplies = " + ".join(text for text in (macs, products) if text != "0") or "0"
        self.texts = dict(zip(CATEGORIES, (multiplies, macs, additions, divisions, special, comparisons), strict=True))
        self.workspace = workspace

    @cached_property
    def _code(self) -> CodeType:
        parts = [*self.texts.values(), self.workspace]
        return compile("(" + ", ".join(f"({part})" for part in parts) + ")", "<closed form>", "eval")

    def evaluate(self, dims: Dims) -> tuple[int, ...]:
        """Return the count of each category, in the order of ``CATEGORIES``, and the workspace in elements."""
        values: tuple[int, ...] = eval(self._code, _GLOBALS, dims.values)  # our own constant text, never the user's
        return values

    def explain(self, category: str, dims: Dims) -> tuple[str, str]:
        """Return one category's closed form in the network's symbols and with its numbers; empty if it is zero."""
        tree = ast.parse(self.texts[category], mode="eval").body
        symbolic, numeric = _render(tree, dims, symbols=True), _render(tree, dims, symbols=False)
        return ("", "") if symbolic == "0" else (symbolic, numeric)


FREE = Cost()


@dataclass(frozen=True, slots=True)
class Term:
    """One operation's closed form with its dimensions, done ``times`` times."""

    cost: Cost
    dims: Dims
    times: int = 1


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


def _render(tree: ast.expr, dims: Dims, *, symbols: bool, level: int = 0) -> str:
    """Write a formula, leaving out quiet factors of 1 and quiet terms of 0."""
    match tree:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name):
            if name not in dims.names and dims.values[name] in (0, 1):
                return str(dims.values[name])
            return dims.names.get(name, name) if symbols else str(dims.values[name])
        case ast.Call(func=ast.Name(id=function), args=args):
            return f"{function}({', '.join(_render(a, dims, symbols=symbols) for a in args)})"
        case ast.BinOp(left=left, op=op, right=right):
            precedence = _PRECEDENCE[type(op)]
            a = _render(left, dims, symbols=symbols, level=precedence)
            b = _render(right, dims, symbols=symbols, level=precedence + (not isinstance(op, ast.Add | ast.Mult)))
            simple = _simplify(op, a, b, _quiet(left, dims), _quiet(right, dims))
            if simple is not None:
                return simple
            text = f"{a}{_SIGN[type(op)]}{b}"
            return f"({text})" if precedence < level else text
    raise AssertionError(f"a formula may not contain {ast.dump(tree)}")


def _quiet(tree: ast.expr, dims: Dims) -> bool:
    """Whether every symbol in the formula is quiet, so that its value may be folded away."""
    return all(node.id not in dims.names for node in ast.walk(tree) if isinstance(node, ast.Name))


def _simplify(op: ast.operator, a: str, b: str, a_quiet: bool, b_quiet: bool) -> str | None:
    if isinstance(op, ast.Mult):
        if "0" in (a, b):
            return "0"
        if a == "1" and a_quiet:
            return b
        if b == "1" and b_quiet:
            return a
    if a == "0" and isinstance(op, ast.Add):
        return b
    if b == "0":
        return a
    return None
