"""Steps written as equations, for those who trace a run: ``da[2]/dW[1] = W[2] da[1]/dW[1]``.

A layer may say of a rule how it is written, with the names of what the rule reads in braces; ``{g}`` stands for its
argument. Where it does not, the general form says which Jacobian is multiplied by what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gradcost.graph import Graph, Node
from gradcost.graph.rule import Rule
from gradcost.schedule.program import Buffer, Step, nothing

_OPTIONAL = re.compile(r"\[([^\]]*)\]")


def equation(step: Step) -> str | None:
    """Return a step as an equation; None for one that only makes room, or marks the end of a loop."""
    if step.run is nothing:
        return None
    right = step.says() if callable(step.says) else step.says
    names = [buffer.name for buffer in step.touches]
    if "{" in right:
        right = right.format(*names, all=", ".join(names))
    left = step.makes.name if step.makes is not None else names[0]
    if " = " in right or " += " in right:
        return right  # it names what it fills itself
    return f"{left} {right}" if right.startswith("+= ") else f"{left} = {right or ' . '.join(names)}"


def of_rule(
    graph: Graph,
    node: Node,
    method: str,
    rule: Rule,
    reads: Mapping[str, Buffer],
    args: tuple[Buffer, ...],
    out: Buffer,
    columns: tuple[int, int] | None,
    arg_columns: tuple[int, int] | None,
    index: int | None,
) -> str:
    """Return a rule of a node's layer as an equation."""
    left = part(out, columns)
    given = {name: buffer.name for name, buffer in reads.items()}
    if args:
        given["g"] = part(args[0], arg_columns)
    if rule.says is not None:
        right = _OPTIONAL.sub(lambda match: _filled(match[1], given) or "", rule.says)
        return f"{left} {'+=' if _adds(method) else '='} {_filled(right, given) or right}"
    sources = [graph.nodes[source].symbol for source in node.sources]
    source = sources[index or 0] if sources else ""
    kind = _snake(type(node.op).__name__)
    verb, _, parameter = method.partition("_")
    of = node.parameter_symbol(parameter) if parameter in node.op.parameters else source
    if verb == "primal":
        parameters = [given[name] for name in node.op.parameters if name in given]
        right = f"{kind}({'; '.join(', '.join(each) for each in (sources, parameters) if each)})"
    elif verb == "derivative":
        right = f"{kind}'({source})"
    elif verb == "vjp":
        right = f"(d{node.symbol}/d{of})^T {given['g']}"
    elif verb == "jvp":
        right = f"d{node.symbol}/d{of} {given['g']}"
    else:
        right = f"its entries, from {', '.join(given.values())}"
    return f"{left} {'+=' if _adds(method) else '='} {right}"


def _adds(method: str) -> bool:
    """Whether a rule adds to what it fills: tangents of parameters, and what is behind the first input of a join."""
    return method.endswith("_more") or (method.startswith("jvp_") and method not in ("jvp_compact", "jvp_first"))


def _filled(template: str, given: Mapping[str, str]) -> str | None:
    """Put names in their places; None where the network has no such thing, such as a bias."""
    try:
        return template.format_map(given)
    except KeyError:
        return None


def part(buffer: Buffer, columns: tuple[int, int] | None) -> str:
    """Name some columns of a stack by their births."""
    if columns is None or buffer.columns is None:
        return buffer.name
    inside = [birth.symbol for birth, (start, end) in buffer.columns if columns[0] <= start and end <= columns[1]]
    if not inside:
        return buffer.name
    span = inside[0] if len(inside) == 1 else f"({inside[0]}..{inside[-1]})"
    return f"{buffer.symbol.removesuffix('*')}{span}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def of_loss(graph: Graph, method: str, rule: Rule) -> str:
    """Return a rule of the loss as the right side of an equation."""
    given = {"y": graph.output.symbol, "t": "t"}
    if rule.says is not None:
        return rule.says.format_map(given)
    arguments = ", ".join(name for name in ((given["y"], "t") if graph.loss.needs_target else (given["y"],)))
    name = graph.loss.name
    return f"{name}({arguments})" if method == "primal" else f"d {name}({arguments}) / d{given['y']}"
