"""Steps written as equations, for those who trace a run: ``da[2]/dW[1] = W[2] da[1]/dW[1]``.

A rule may say how it is written, with the names of what it reads in braces; ``{g}`` stands for a layer's argument, and
``{0}``, ``{1}``, ... for an operation's. Where it does not, the general form says which Jacobian is multiplied by what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gradcost.graph import Graph, Loss, Node, Rule, rule_of
from gradcost.schedule.operations import Rename
from gradcost.schedule.program import Buffer, Operand, Step

_OPTIONAL = re.compile(r"\[([^\]]*)\]")


def equation(graph: Graph, step: Step) -> str | None:
    """Return a step as an equation; None for one that only makes room, or marks the end of a loop."""
    if step.idle or step.fills is None:
        return None
    rule = rule_of(step.owner, step.rule)
    if step.node is not None:
        sign, right = ("+=" if _adds(step.rule) else "="), _of_layer(graph, step.node, step, rule)
    elif isinstance(step.owner, Loss):
        sign, right = "=", _of_loss(graph, step, rule)
    else:
        sign, right = "=", _of_operation(step, rule)
        if right.startswith("+= "):
            sign, right = "+=", right.removeprefix("+= ")
    return f"{part(step.fills, step.columns)} {sign} {right}"


def _of_layer(graph: Graph, node: Node, step: Step, rule: Rule) -> str:
    """Return the right side of a rule of a node's layer."""
    given = {name: buffer.name for name, buffer in step.reads.items()}
    if step.args:
        given["g"] = _name(step.args[0])
    if rule.says is not None:
        right = _OPTIONAL.sub(lambda match: _filled(match[1], given) or "", rule.says)
        return _filled(right, given) or right
    sources = [graph.nodes[source].symbol for source in node.sources]
    source = sources[step.index or 0] if sources else ""
    kind = _snake(type(node.op).__name__)
    verb, _, parameter = step.rule.partition("_")
    of = node.parameter_symbol(parameter) if parameter in node.op.parameters else source
    if verb == "primal":
        parameters = [given[name] for name in node.op.parameters if name in given]
        return f"{kind}({'; '.join(', '.join(each) for each in (sources, parameters) if each)})"
    if verb == "derivative":
        return f"{kind}'({source})"
    if verb == "vjp":
        return f"(d{node.symbol}/d{of})^T {given['g']}"
    if verb == "jvp":
        return f"d{node.symbol}/d{of} {given['g']}"
    return f"its entries, from {', '.join(given.values())}"


def _of_loss(graph: Graph, step: Step, rule: Rule) -> str:
    """Return the right side of a rule of the loss."""
    given = {"y": graph.output.symbol, "t": "t"}
    if rule.says is not None:
        return rule.says.format_map(given)
    call = f"{graph.loss.name}({', '.join(given.values() if graph.loss.needs_target else [given['y']])})"
    return call if step.rule == "primal" else f"d {call} / d{given['y']}"


def _of_operation(step: Step, rule: Rule) -> str:
    """Return the right side of an operation of the strategy."""
    names = [_name(arg) for arg in step.args]
    right = " . ".join(names) if rule.says is None else rule.says.format(*names, all=", ".join(names))
    if isinstance(step.owner, Rename) and step.makes is not None and step.view_of is not None:
        return right if step.makes.shape == step.view_of.shape else f"{right} in another shape"
    return right


def _adds(rule: str) -> bool:
    """Whether a rule adds to what it fills: tangents of parameters, and what is behind the first input of a join."""
    return rule.endswith("_more") or (rule.startswith("jvp_") and rule not in ("jvp_compact", "jvp_unit", "jvp_first"))


def _filled(template: str, given: Mapping[str, str]) -> str | None:
    """Put names in their places; None where the network has no such thing, such as a bias."""
    try:
        return template.format_map(given)
    except KeyError:
        return None


def _name(operand: Operand) -> str:
    return operand.name if isinstance(operand, Buffer) else part(*operand)


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
