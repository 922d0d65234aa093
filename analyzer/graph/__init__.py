"""The layer graph: primitive operations in topological order, with their shapes and derivative rules."""

from gradcost.graph.build import Builder, LayerType, Variables, build_graph
from gradcost.graph.draws import Draws
from gradcost.graph.graph import Graph, LayerInfo, Node
from gradcost.graph.layer import At, Elementwise, Join, Layer, Linear, Loss, Source, View
from gradcost.graph.rule import Rule, rule, rule_of

__all__ = [
    "At",
    "Builder",
    "Draws",
    "Elementwise",
    "Graph",
    "Join",
    "Layer",
    "LayerInfo",
    "LayerType",
    "Linear",
    "Loss",
    "Node",
    "Rule",
    "Source",
    "Variables",
    "View",
    "build_graph",
    "rule",
    "rule_of",
]
