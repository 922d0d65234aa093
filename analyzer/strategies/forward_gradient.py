"""forward_gradient: one pass with k random tangents, an unbiased estimate of the gradient (Baydin et al. 2022).

g = 1/k sum_i (dL . v_i) v_i with v_i ~ N(0, I) over all P trained parameters: E[g] = dL/dtheta, as E[v v^T] = I. Its
variance is known beforehand: E|g - dL/dtheta|^2 = (P + 1)/k |dL/dtheta|^2, from E[(u . v)^2 |v|^2] = (P + 2) |u|^2.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, cast

from gradcost.carrying.pusher import Pusher
from gradcost.carrying.tangents import CHUNK, directional, push_tangents
from gradcost.formula import Dims
from gradcost.graph import At, Graph, rule
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Operation, Plan, Segment
from gradcost.schedule.strategy import Strategy

if TYPE_CHECKING:
    from gradcost.execution.execute import Data, Gradients


def plan(graph: Graph, chunk: int = 1) -> Plan:
    """Schedule one pass that pushes ``chunk`` random directions, and the mean of what they find."""
    emitter = Emitter(graph)
    directions = {
        key: emitter.hold(f"v:{graph.parameter_label(key)}", (chunk, *shape), ("direction", *key))
        for key, shape in graph.trained.items()
    }
    final = push_tangents(Pusher(emitter, phase="tangent"), chunk, lambda node, name: directions[node.key(name)])
    emitter.loss()
    found = directional(emitter, emitter.cotangent(), final)
    gradients = {}
    for key, direction in directions.items():
        node = graph.nodes[key[0]]
        gradient = emitter.buffer(f"g:{graph.parameter_label(key)}", graph.trained[key], held=True)
        sizes = {"K": chunk, "p": prod(gradient.shape)}
        dims = Dims(sizes, {"K": "K", "p": f"p{node.number}"})
        operation = Mean() if chunk > 1 else Along()
        emitter.do(node, "estimate", operation, (found, direction), makes=gradient, dims=dims)
        gradients[key] = gradient
    ratio = f"{graph.trained_parameters + 1:,}{f' / {chunk:,}' if chunk > 1 else ''}"
    note = f"unbiased; its variance is {ratio} times |dL/dW|^2"
    return Plan([Segment(emitter.program)], gradients, carried=emitter.carried, note=note)


class Along(Operation):
    """g = (dL . v) v of one parameter."""

    @rule(says="{0} {1}", macs="K*p", additions="(K-1)*p")
    def run(self, at: At, found: Array, direction: Array, out: Array) -> None:
        """Fill out (\\*shape) for found (1, K) and direction (K, \\*shape)."""
        np.matmul(found, direction.reshape(direction.shape[0], -1), out=out.reshape(1, -1))


class Mean(Operation):
    """g = 1/K sum_i (dL . v_i) v_i of one parameter."""

    @rule(says="the mean of {0} {1}", macs="K*p", additions="(K-1)*p", divisions="p")
    def run(self, at: At, found: Array, direction: Array, out: Array) -> None:
        """Fill out (\\*shape) for found (1, K) and direction (K, \\*shape)."""
        flat = out.reshape(1, -1)
        np.matmul(found, direction.reshape(direction.shape[0], -1), out=flat)
        np.divide(flat, direction.shape[0], out=flat)


def projected(plan: Plan, data: Data, exact: Gradients) -> Gradients:
    """Return what a mean over random directions makes of an exact gradient: 1/k sum_i (dL . v_i) v_i."""
    held = [buffer for buffer in plan.segments[0].program.initial if buffer.key and buffer.key[0] == "direction"]
    directions = {cast(tuple[int, str], buffer.key[1:]): cast(Array, data.of(buffer)) for buffer in held if buffer.key}
    slopes: Any = 0.0
    for key, values in exact.items():
        slopes = slopes + np.tensordot(directions[key], values, axes=values.ndim)
    return {key: np.tensordot(slopes, directions[key], axes=1) / len(slopes) for key in exact}


STRATEGY = Strategy(
    "forward_gradient",
    "random tangents (--chunk) in one pass: an unbiased estimate",
    plan,
    exact=False,
    options=(CHUNK,),
    carried="tangents",
    expects=projected,
)
