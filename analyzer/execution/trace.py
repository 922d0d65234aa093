"""trace: a run step by step, each step as an equation with its real numbers, for networks small enough to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError
from gradcost.execution.execute import Data, run_plain
from gradcost.graph import Graph
from gradcost.network import load
from gradcost.numerics import Array, np
from gradcost.schedule.equations import equation
from gradcost.schedule.predict import predict
from gradcost.schedule.program import Arrays, Plan, Step
from gradcost.strategies import STRATEGIES, Options, chosen, named
from gradcost.units import Shape, format_count

BOTH_DIRECTIONS = ("forward_jacobian", "reverse")
MOST_STEPS = 400
MOST_ELEMENTS = 100_000  # of all arrays together, at the peak


@dataclass(frozen=True, slots=True)
class Traced:
    """One step.

    Attributes:
        layer: that it belongs to.
        phase: primal, birth, push, cotangent, gradient, ...
        equation: what it does, in the symbols of the report.
        shape: of what it makes or adds to, with the batch axis.
        values: of that, after the step.
        multiplies: how many it takes.
    """

    layer: str
    phase: str
    equation: str
    shape: Shape
    values: Array
    multiplies: int

    def to_dict(self, *, values: bool = True) -> dict[str, Any]:
        """Return it as plain data (see ``Trace.to_dict``)."""
        return {
            "layer": self.layer,
            "phase": self.phase,
            "equation": self.equation,
            "multiplies": self.multiplies,
            **_array(self.values, values=values),
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """One strategy's run.

    Attributes:
        network: its name.
        dtype: of its numbers.
        strategy: which.
        given: what it starts from, parameters and data, by symbol.
        steps: in order; of several passes or turns of a loop, the first.
        passes: how many passes like it there are.
        gradients: what comes out, by the parameter's symbol, ``dL/dW[1]`` without ``dL/d``.
        multiplies: of the whole run.
    """

    network: str
    dtype: str
    strategy: str
    given: Mapping[str, Array]
    steps: tuple[Traced, ...]
    passes: int
    gradients: Mapping[str, Array]
    multiplies: int

    def to_dict(self, *, values: bool = True) -> dict[str, Any]:
        """Return it as plain data.

        An array is ``{"shape": [...], "dtype": "float64", "values": [[...]]}``: nested lists, null where a number is
        not finite; the whole of ``values`` is null where they are left out. ``steps`` is a list of such, each with
        ``layer``, ``phase``, ``equation`` and ``multiplies`` besides; ``given`` and ``gradients`` have one for each
        symbol; ``network``, ``dtype``, ``strategy``, ``passes`` and ``multiplies`` are as here.
        """
        return {
            "network": self.network,
            "dtype": self.dtype,
            "strategy": self.strategy,
            "passes": self.passes,
            "multiplies": self.multiplies,
            "given": {symbol: _array(each, values=values) for symbol, each in self.given.items()},
            "steps": [step.to_dict(values=values) for step in self.steps],
            "gradients": {symbol: _array(each, values=values) for symbol, each in self.gradients.items()},
        }


def _array(array: Array, *, values: bool) -> dict[str, Any]:
    found = {"shape": list(array.shape), "dtype": str(array.dtype), "values": None}
    if values:
        shown = array.astype(object)
        shown[~np.isfinite(array)] = None
        found["values"] = shown.tolist()
    return found


def trace(
    source: str | Path | Mapping[str, Any] | Graph,
    strategies: str | Sequence[str] = BOTH_DIRECTIONS,
    *,
    batch: int | None = None,
    dtype: str | None = None,
    wrt: str | None = None,
    outputs: str | None = None,
    seed: int = 0,
) -> list[Trace]:
    """Run strategies on a small network, and keep every step.

    Args:
        source: see ``load``.
        strategies: one name, or several in the order of the traces.
        batch: see ``load``.
        dtype: see ``load``.
        wrt: see ``load``.
        outputs: see ``load``.
        seed: of the random parameters and data.

    Raises:
        SpecError: the spec cannot be used.
        UsageError: a strategy is unknown or does not apply, or the network is too large to be read step by step.
    """
    graph = load(source, batch=batch, dtype=dtype, wrt=wrt, outputs=outputs)
    chosen(graph, strategies)
    names = [named(name) for name in ([strategies] if isinstance(strategies, str) else strategies)]
    planned = [(name, *_readable(graph, name)) for name in names]
    data = Data(graph, seed)
    return [_trace(graph, name, plan, multiplies, data) for name, plan, multiplies in planned]


def _readable(graph: Graph, name: str) -> tuple[Plan, int]:
    """Return a strategy's plan and its multiplies. Raises ``UsageError`` where nobody could read all of its steps."""
    plan = STRATEGIES[name].plan(graph, Options())
    prediction = predict(plan)
    steps, elements = len(plan.segments[0].program.steps), prediction.peak_bytes // graph.item_bytes
    if steps > MOST_STEPS or elements > MOST_ELEMENTS:
        raise UsageError(
            f"trace is for networks that can be read step by step; {name} takes "
            f"{format_count(steps)} steps over {format_count(elements)} numbers "
            f"here (the most are {MOST_STEPS:,} and {MOST_ELEMENTS:,}): make it smaller, or use analyze"
        )
    return plan, prediction.counts.multiplies


def _trace(graph: Graph, name: str, plan: Plan, multiplies: int, data: Data) -> Trace:
    segment = plan.segments[0]
    seen: dict[Step, Traced] = {}

    def watch(step: Step, arrays: Arrays) -> None:
        if step not in seen:
            text = equation(graph, step)
            if text is not None:
                seen[step] = _traced(step, text, arrays)

    given = {b.name: data.of(b) for b in segment.program.initial if b.key and b.key[0] != "one"}
    gradients = run_plain(plan, data, watch=watch)
    return Trace(
        graph.name,
        graph.dtype,
        name,
        {symbol: values for symbol, values in given.items() if values is not None},
        tuple(seen[step] for step in segment.program.steps if step in seen),
        segment.passes,
        {_symbol(graph, key): values for key, values in gradients.items()},
        multiplies,
    )


def _traced(step: Step, text: str, arrays: Arrays) -> Traced:
    filled = step.fills
    assert filled is not None
    start, end = step.columns or (0, filled.shape[-1])
    values = np.array(arrays[filled][..., start:end]).reshape(*filled.shown[:-1], end - start)
    inside = [b for b, (first, last) in filled.columns or () if start <= first and last <= end]
    if len(inside) == 1:  # one parameter's Jacobian: its columns in the parameter's own axes
        values = values.reshape(*values.shape[:-1], *inside[0].shape)
    multiplies = step.term.cost.evaluate(step.term.dims)[0]
    return Traced(step.label, step.phase, text, values.shape, values, multiplies)


def _symbol(graph: Graph, key: tuple[int, str]) -> str:
    return graph.nodes[key[0]].parameter_symbol(key[1])


def facing(traces: Sequence[Trace]) -> Iterator[tuple[Traced | None, ...]]:
    """Yield the steps of one run, or of two side by side: those that both take together, the others beside None."""
    if len(traces) == 1:
        yield from ((step,) for step in traces[0].steps)
        return
    left, right = (each.steps for each in traces)
    ours, theirs = ([(step.phase, step.equation) for step in steps] for steps in (left, right))
    for tag, a, b, c, d in SequenceMatcher(a=ours, b=theirs, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from zip(left[a:b], right[c:d], strict=True)
        else:
            yield from ((step, None) for step in left[a:b])
            yield from ((None, step) for step in right[c:d])


def disagreement(traces: Sequence[Trace]) -> float:
    """Return the largest difference between the gradients of several runs."""
    first, *others = traces
    return max(
        (
            float(np.max(np.abs(first.gradients[key] - other.gradients[key])))
            for other in others
            for key in first.gradients
        ),
        default=0.0,
    )
