"""Decoding: what one more token takes, when the keys and values of those before it are held."""

from __future__ import annotations

from math import prod

from gradcost.errors import UsageError
from gradcost.graph import Graph
from gradcost.layers.attention import CausalSoftmax, Scores, Weighted
from gradcost.layers.dense import Dense


def decoding_macs(graph: Graph, cache: int) -> int:
    """Return the multiply-accumulates of one decoding step, of the whole batch.

    Dense layers take what they take for one position; attention takes d for the score of each earlier token and of the
    token itself, and d for its share of the value, in each head.

    Args:
        graph: a network whose attention is causal.
        cache: tokens before.

    Raises:
        UsageError: nothing attends causally, so there is no next token.
    """
    if not any(isinstance(node.layer, CausalSoftmax) for node in graph.nodes):
        raise UsageError("a cache is of keys and values that a causal attention reads; this network has none")
    total = 0
    for node in graph.nodes:
        layer = node.layer
        if isinstance(layer, Dense):
            total += prod(layer.parameters["W"])
        elif isinstance(layer, Scores | Weighted):
            queries = layer.inputs[
                0
            ]  # scores: (groups, heads of a group and positions, units); weighted: (.., positions)
            heads = prod(queries[:-1]) // layer.inputs[1][-2]
            total += heads * (cache + 1) * layer.inputs[1][-1]
    return total * graph.batch
