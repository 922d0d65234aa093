"""The graph: nodes in topological order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from gradcost.formula import Dims
from gradcost.graph.layer import Layer, Loss
from gradcost.spec import NetworkSpec
from gradcost.units import ITEM_BYTES, Shape


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One primitive operation in its place.

    Attributes:
        index: position in topological order.
        label: the spec layer (or input) that it belongs to.
        number: what stands in the brackets of its symbols: ``1`` in a[1].
        letter: ``a`` for the layer's output, ``z`` for a value before its activation, ``s`` for other steps inside.
        layer: the operation; None for an input.
        sources: indices of the nodes that it reads.
        owner: index of the node that holds its shared parameters; its own where it shares none.
        shared: the names of those.
        step: in a recurrent layer, the step of time.
        part: what tells its parameters from others of the same spec layer.
        vocabulary: of an input that holds tokens, how many there are.
        trainable: whether its parameters get gradients.
        active: whether any trainable parameter stands at or above it.
        batched: whether it has a value for each sample; otherwise one for all of them, with a leading axis of 1.
    """

    index: int
    label: str
    number: str
    letter: str
    layer: Layer | None
    shape: Shape
    sources: tuple[int, ...]
    trainable: bool
    active: bool
    batched: bool
    dims: Dims
    owner: int
    shared: frozenset[str] = frozenset()
    step: int | None = None
    part: str = ""
    vocabulary: int | None = None

    @property
    def symbol(self) -> str:
        """The value's name in formulas: ``a[1]``; ``h[1,5]`` at the fifth step of a recurrent layer."""
        return f"{self.letter}[{self.number}]" if self.step is None else f"{self.letter}[{self.number},{self.step}]"

    def parameter_symbol(self, name: str) -> str:
        """Return a parameter's name in formulas: ``W[1]``; ``W[1,h]`` for a recurrent layer's weights of the state."""
        return f"{name}[{self.number}{self.part}]"

    @property
    def op(self) -> Layer:
        """The operation of a node that is no input."""
        assert self.layer is not None
        return self.layer

    @property
    def own_parameters(self) -> tuple[str, ...]:
        """The names of the parameters that get gradients here."""
        return tuple(self.layer.parameters) if self.layer is not None and self.trainable else ()

    def key(self, name: str) -> tuple[int, str]:
        """Return what a parameter goes by: the index of the node that holds it, and its name."""
        return (self.owner if name in self.shared else self.index), name


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer of the spec, as the report lists it."""

    name: str
    type: str
    inputs: tuple[str, ...]
    output_shape: Shape
    parameters: int


@dataclass(frozen=True)
class Graph:
    """A network ready to be analysed; ``gradcost.Network`` is its public name."""

    name: str
    dtype: str
    batch: int
    nodes: tuple[Node, ...]
    loss: Loss
    layers: tuple[LayerInfo, ...]
    spec: NetworkSpec

    @property
    def jacobian(self) -> bool:
        """Whether the whole output is differentiated, and not a loss."""
        return self.spec.outputs != "loss"

    @property
    def per_sample(self) -> bool:
        """Whether each sample has a Jacobian of its own."""
        return self.jacobian and not self.spec.across_batch

    @property
    def coupled(self) -> bool:
        """Whether derivatives pass an operation that couples samples, or one that has no batch axis."""
        through = (node for node in self.nodes if any(self.nodes[source].active for source in node.sources))
        return any(node.op.couples or not node.batched for node in through)

    @property
    def rows(self) -> int:
        """How many numbers are differentiated: 1 for a loss, else an output's elements, of a sample or the batch."""
        if not self.jacobian:
            return 1
        return prod(self.output.shape) * (1 if self.per_sample else self.batch_of(self.output))

    def batch_of(self, node: Node) -> int:
        """Return how many samples a node has a value for: those of the batch, or 1 where it has no batch axis."""
        return self.batch if node.batched else 1

    @property
    def output(self) -> Node:
        """The last node: what the loss reads."""
        return self.nodes[-1]

    @cached_property
    def last_use(self) -> Mapping[int, int]:
        """The index of the last node that reads each value; for the output, one past the last node."""
        last = {node.index: node.index for node in self.nodes}  # of one that nobody reads
        last |= {source: node.index for node in self.nodes for source in node.sources}
        return {**last, self.output.index: len(self.nodes)}

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return ITEM_BYTES[self.dtype]

    @property
    def parameters(self) -> int:
        """How many parameters there are, frozen ones included."""
        return sum(layer.parameters for layer in self.layers)

    @cached_property
    def trained(self) -> Mapping[tuple[int, str], Shape]:
        """The shape of each parameter that gets a gradient, by node index and name, in topological order.

        Of an input that each sample's Jacobian is by, it is that of one sample.
        """
        return {n.key(p): n.op.gradient_shape(p) for n in self.nodes for p in n.own_parameters}

    @property
    def trained_parameters(self) -> int:
        """How many parameters get gradients."""
        return sum(prod(shape) for shape in self.trained.values())

    @cached_property
    def bias_parameters(self) -> int:
        """How many of the trained parameters are additive (biases and betas)."""
        return sum(prod(shape) for (_, name), shape in self.trained.items() if name in ("b", "beta"))

    def parameter_label(self, key: tuple[int, str]) -> str:
        """Return a parameter's full name: ``hidden.W``."""
        return f"{self.nodes[key[0]].label}.{key[1]}"
