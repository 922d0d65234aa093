"""What a layer is: shapes, a primal, its derivative rules, and their closed-form costs.

Conventions shared by every layer:

* ``x`` (B, \\*input) and ``y`` (B, \\*output) carry the batch axis first. A value that is the same for every sample,
  such as a product of weights alone, has a single one: B is 1 there.
* A stack of K tangents of an array carries one more axis, last: (B, \\*shape, K). A parameter's tangents, the
  seeds of a forward pass, carry it first: (K, \\*shape).
* A stack of K cotangents carries its axis first, (K, B, \\*shape), and so do a parameter's gradients, (K, \\*shape),
  which are sums over the batch. For a loss K is 1.
* A rule fills ``out`` and returns nothing: what is allocated, and when it is freed, is the schedule's business,
  so that a rule's own memory is its ``workspace`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, ClassVar

from gradcost.formula import Dims, substituted
from gradcost.graph.draws import Draws
from gradcost.graph.owed import has_rule, refuse_incomplete
from gradcost.graph.rule import Rule, derived, priced_as, rule, rule_in, rule_of
from gradcost.numerics import Array, np, runs
from gradcost.units import INDEX, Shape


class At:
    """The arrays that a rule asked for, by name: ``at.x``, ``at.y``, ``at.W``, ...

    Attributes:
        turn: where the loop, or the pass, of the schedule stands; layers have no need of it.
    """

    turn: int = 0

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        """Keep the arrays under their names."""
        self.__dict__.update(arrays)

    def __getitem__(self, name: str) -> Array:
        """Return the array of a name that is made up, such as that of each input in turn: ``at["x0"]``."""
        found: Array = getattr(self, name)
        return found

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Array:
            """Return the array of that name."""


class Layer:
    """A primitive operation of the graph.

    Names that a rule may read: ``x`` (of several inputs: ``x0``, ``x1``, ..., ``x*`` for all, ``x~`` for all but the
    one it is called for), ``y``, ``d`` (what the layer's ``derivative`` filled), ``one`` (a single 1.0), and the
    layer's parameters, aux, constants and statistics by their names.

    A subclass that is no ``abstract`` base defines what it ``owes``, or is refused at once: ``primal(at, out)`` and,
    for its one input, ``jvp(at, t, out)`` and ``vjp(at, g, out)``; for each parameter P, ``vjp_P(at, g, out)`` (its
    gradients), ``jvp_P(at, v, out)`` (adds the tangents to ``out``) and the compact Jacobian (see ``Compact`` in
    the room ``carrying``), by ``birth_P(at, shape)``, which returns a view, or by ``fill_birth_P(at, out)``. It may
    define ``jvp_compact(at, c, out)``, where a compact Jacobian can be pushed without first making it dense;
    ``jvp_unit(at, c, out)``, the same where every number in it is a known 1; and ``fold(at, d, out)``, which multiplies
    what its pushes read, the one thing that the rule names, by the slope of an activation behind: (B, \\*output, m) for
    m inputs of a unit.

    Attributes:
        parameter_names: the parameters that its instances may have.
        parameters: the shape of each that this one has.
        aux: per-sample shapes of what the primal keeps for its derivative, besides x and y.
        constants: per-sample shapes of arrays that are drawn once and never trained.
        statistics: shapes, without a batch axis, of the same.
        dtypes: of those among aux, constants and statistics whose elements are not the network's numbers.
        symbol_names: the names of the symbols in ``sizes``, with ``{out}`` and ``{in}`` for the layers' numbers; a
            symbol that is missing here is quiet (see ``Dims``), but for S, the positions, where there are several.
        in_place: whether the primal may write over an input that dies there.
        pulls_in_place: whether its pull may write over a cotangent that dies there.
        run: how many elements a rule works on at a time, where it needs room for what it makes of them: few enough for
            the processor's cache.
        couples: whether a sample's output depends on other samples of the batch.
        makes_batch: whether its output has a batch axis even where none of its inputs has one.
        partial: whether the output depends on a part of the input alone; then ``vjp`` fills zeros around that part, and
            ``vjp_more(at, g, out)`` adds to it in a cotangent that is there already.
        unit_axis: the axis of the output, without the batch axis, whose entry k alone sees entry k of a parameter's
            first axis.
    """

    couples: ClassVar[bool] = False
    makes_batch: ClassVar[bool] = False
    partial: ClassVar[bool] = False
    unit_axis: ClassVar[int] = -1
    in_place: ClassVar[bool] = False
    pulls_in_place: ClassVar[bool] = False
    run: ClassVar[int] = 2**15

    abstract: ClassVar[bool] = True
    parameter_names: ClassVar[tuple[str, ...]] = ()
    parameters: Mapping[str, Shape] = {}
    aux: Mapping[str, Shape] = {}
    constants: Mapping[str, Shape] = {}
    statistics: Mapping[str, Shape] = {}
    dtypes: ClassVar[Mapping[str, str]] = {}
    symbol_names: ClassVar[Mapping[str, str]] = {"N": "N{out}"}

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        """Refuse a subclass that lacks a rule, unless it is a base of others. Raises ``LayerError``."""
        cls.abstract = abstract
        if not abstract:
            refuse_incomplete("layer", cls, [*cls.owes(), *cls._owes_for_parameters()])

    @classmethod
    def owes(cls) -> tuple[str, ...]:
        """Return the rules that each such layer must have, besides those of its parameters."""
        return ("primal", "jvp", "vjp", "vjp_more") if cls.partial else ("primal", "jvp", "vjp")

    @classmethod
    def _owes_for_parameters(cls) -> Iterator[str]:
        for name in cls.parameter_names:
            yield from (f"vjp_{name}", f"jvp_{name}", f"birth_{name} or fill_birth_{name}")

    def __init__(self, inputs: tuple[Shape, ...], output: Shape) -> None:
        """Fix the per-sample shapes."""
        self.inputs = inputs
        self.output = output

    def birth_axes(self, name: str) -> tuple[int, int]:
        """Return the first and the end of the output's axes in which a parameter's Jacobian is diagonal."""
        axis = self.unit_axis % len(self.output)
        return axis, axis + 1

    def birth_order(self, name: str) -> tuple[Shape, tuple[int, ...]]:
        """Return how a parameter's entries become its Jacobian's columns, where those of a unit stand together.

        The parameter is reshaped to the shape, and its axes are put in the order.
        """
        shape = self.parameters[name]
        return shape, tuple(range(len(shape)))

    def gradient_shape(self, name: str) -> Shape:
        """Return the shape of what a parameter's gradient holds."""
        return self.parameters[name]

    def birth_shape(self, name: str) -> Shape:
        """Return a parameter's shape in the order of its Jacobian's columns."""
        shape, order = self.birth_order(name)
        return tuple(shape[axis] for axis in order)

    @property
    def sizes(self) -> dict[str, int]:
        """The value of each symbol in this layer's closed forms, but for B, K and i."""
        return {"N": prod(self.output)}

    def dims(self, batch: int | None, item_bytes: int, out: str, sources: tuple[str, ...]) -> Dims:
        """Return the symbols' values and names for one place in a network.

        B is quiet, and 1, where the value has no batch axis (None); K, the cotangents pulled at once, is 1 and quiet
        until there are more; i, the bytes of an element, and run are always quiet.
        """
        sizes = self.sizes
        subscripts = {"out": out, "in": sources[0] if sources else ""}
        names = {symbol: text.format_map(subscripts) for symbol, text in self.symbol_names.items()}
        if len(self.output) == 1 and "N" in names:
            names["N"] = f"n{out}"
        if sizes.get("S", 1) > 1:
            names["S"] = f"S{out}"
        quiet = {"B": batch or 1, "K": 1, "i": item_bytes, "run": self.run}
        return Dims({**sizes, **quiet}, names if batch is None else {**names, "B": "B"})

    def kept(self, batch: int) -> dict[str, Shape]:
        """Return the full shape of each aux, the batch axis first."""
        return {name: (batch, *shape) for name, shape in self.aux.items()}

    def fixed(self, batch: int) -> dict[str, Shape]:
        """Return the full shape of each constant, the batch axis first, and of each statistic."""
        return {**{name: (batch, *shape) for name, shape in self.constants.items()}, **self.statistics}

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw a parameter's value."""
        raise NotImplementedError(name)

    def constant(self, name: str, shape: Shape, draws: Draws) -> Array:
        """Draw a constant or statistic of a shape, which has the batch axis if it is a constant."""
        raise NotImplementedError(name)


class Source(Layer, abstract=True):
    """A layer that nothing is differentiated through: without inputs, or with one of tokens."""

    @classmethod
    def owes(cls) -> tuple[str, ...]:
        """Return the primal alone."""
        return ("primal",)


class Linear(Layer, abstract=True):
    """A layer that is linear in its input: y = A x.

    Its ``primal`` holds for x (B, \\*input, ...) with any axes behind, and its closed form has K, which is 1 there: the
    jvp is the same on K columns.
    """

    @priced_as("primal")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out = A t."""
        self.primal(At({"x": t}), out)

    def primal(self, at: At, out: Array) -> None:
        """Fill out = A x."""
        raise NotImplementedError


def _fused(layer: type) -> Rule:
    """Return what a layer's fused pull reads and costs: its derivative, a run of elements at a time, and its pull."""
    slope, pull, run = rule_in(layer, "derivative"), rule_in(layer, "vjp"), "min(B*N, run)"
    workspace = f"i*{run} + {substituted(slope.cost.workspace, {'B': '1', 'N': run})}"
    says = None if slope.says is None else f"({slope.says}) * {{g}}"
    return Rule(slope.reads, slope.cost.then(pull.cost, workspace), says)


class Elementwise(Layer, abstract=True):
    """A layer whose Jacobian is diagonal: y = f(x), dy = d * dx with ``d = f'(x)`` the same shape as x.

    A subclass defines ``primal(at, out)`` and ``derivative(at, out)``. It may define pushes and pulls that do not read
    ``d``, where they are leaner; ``d`` is filled then only for who asks for its numbers. Where one pull alone reads d,
    and d is made of x or y alone, ``vjp_fused`` makes it a run of elements at a time; a subclass may have another.

    Attributes:
        uniform: whether f is the same for all elements, so that its derivative holds for any run of them.
    """

    uniform: ClassVar[bool] = True
    in_place: ClassVar[bool] = True
    pulls_in_place: ClassVar[bool] = True

    @classmethod
    def owes(cls) -> tuple[str, ...]:
        """Return the primal and its derivative; the pushes and pulls are those of every such layer."""
        return ("primal", "derivative")

    @classmethod
    def fuses(cls) -> bool:
        """Whether its pull can make the derivative as it goes: by a rule of its own, or a run at a time."""
        if has_rule(cls, "vjp_fused"):
            return True
        return cls.uniform and {"x", "y"}.issuperset(rule_in(cls, "derivative").reads)

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends."""
        super().__init__((shape,), shape)

    @rule("d", says="{d} * {g}", products="B*N*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out = d * t; ``out`` may be ``t``."""
        np.multiply(t, at.d[..., None], out=out)

    @rule("d", says="{d} * {g}", products="B*N*r")
    def jvp_compact(self, at: At, c: Array, out: Array) -> None:
        """Push a compact Jacobian, which stays compact: out = d * c."""
        np.multiply(c, at.d[..., None], out=out)

    @rule("d", says="{d} * {g}", products="B*N*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: out = d * g; ``out`` may be ``g``."""
        np.multiply(g, at.d, out=out)

    @derived(_fused)
    def vjp_fused(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: out = f'(x) * g, with f'(x) a run of elements at a time; ``out`` may be ``g``."""
        flat = {name: at[name].reshape(-1) for name in rule_of(self, "derivative").reads}
        given, pulled = g.reshape(g.shape[0], -1), out.reshape(out.shape[0], -1)
        slope = np.empty_like(g, shape=(min(self.run, pulled.shape[1]),))
        for part in runs(pulled.shape[1], self.run):
            d = slope[: part.stop - part.start]
            self.derivative(At({name: values[part] for name, values in flat.items()}), d)
            np.multiply(given[:, part], d, out=pulled[:, part])

    def derivative(self, at: At, out: Array) -> None:
        """Fill out = f'(x)."""
        raise NotImplementedError


class View(Layer, abstract=True):
    """A layer that only renames the axes of its input: its output shares the input's buffer."""

    @classmethod
    def owes(cls) -> tuple[str, ...]:
        """Return nothing: a view runs no numpy."""
        return ()


class Join(Layer, abstract=True):
    """A layer of several inputs, linear in each of them.

    ``jvp_first(at, index, t, out)`` writes the contribution of input ``index`` to a block of tangent columns that no
    other input has written, ``jvp_more`` adds to one; ``clears`` says that the block must be zero before.
    ``vjp_i(at, index, g, out)``, or the rule that ``pulls`` names for input ``index``, pulls cotangents to it; where
    ``passes`` is true, they are ``g`` itself.

    Attributes:
        pulls: the rule that pulls to each input, or a single one that pulls to any.
    """

    clears: ClassVar[bool] = False
    passes: ClassVar[bool] = False
    pulls: ClassVar[tuple[str, ...]] = ("vjp_i",)

    @classmethod
    def owes(cls) -> tuple[str, ...]:
        """Return the primal, the pushes, and the pulls unless cotangents pass."""
        return ("primal", "jvp_first", "jvp_more", *(() if cls.passes else cls.pulls))

    def vjp_rule(self, index: int) -> str:
        """Return the name of the rule that pulls the cotangent to input ``index``."""
        return self.pulls[0] if len(self.pulls) == 1 else self.pulls[index]


class Loss:
    """The scalar L of the network's output ``y`` (B, \\*shape) and the targets ``target``.

    Targets are numbers (B, \\*shape), or classes (B, \\*shape[:-1]): whole numbers below the size of the last axis.
    A subclass defines ``primal(at, out)``, filling ``out`` (1,), and ``cotangent(at, out)``, filling
    ``out`` (1, B, \\*shape) with dL/dy.

    Attributes:
        name: as the spec has it.
        needs_target: whether there are targets at all.
        of_dense: where its targets are classes, the same loss of rows of numbers in their place (``targets: dense``).
    """

    name: ClassVar[str]
    needs_target: ClassVar[bool] = True
    of_dense: ClassVar[type[Loss] | None] = None

    def __init_subclass__(cls) -> None:
        """Refuse a subclass that lacks a rule. Raises ``LayerError``."""
        refuse_incomplete("loss", cls, ("primal", "cotangent"))

    def __init__(self, shape: Shape) -> None:
        """Take the output's shape, without the batch axis."""
        self.shape = shape

    def dims(self, batch: int, item_bytes: int, out: str) -> Dims:
        """Return the symbols' values and names."""
        n = self.shape[-1]
        lead = prod(self.shape[:-1])
        return Dims(
            {"B": batch, "S": lead, "n": n, "i": item_bytes},
            {"B": "B", "n": f"n{out}"} | ({"S": f"S{out}"} if lead > 1 else {}),
        )

    def target_shape(self, batch: int) -> Shape:
        """Return the shape of a batch's targets."""
        return (batch, *(self.shape if self.of_dense is None else self.shape[:-1]))

    def target_dtype(self, dtype: str) -> str:
        """Return the dtype of the targets in a network of a dtype."""
        return dtype if self.of_dense is None else INDEX

    def target(self, batch: int, draws: Draws) -> Array:
        """Draw targets of the kind that the loss is for."""
        raise NotImplementedError
