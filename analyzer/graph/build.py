"""From a spec to a graph: layer types are looked up, their options read, their shapes checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

from gradcost.errors import LayerError, SpecError, UsageError, nearest
from gradcost.formula import Dims
from gradcost.graph.graph import Graph, LayerInfo, Node
from gradcost.graph.layer import Layer, Loss, Source
from gradcost.spec import LayerEntry, NetworkSpec, foreign
from gradcost.spec.fields import Field, read_mapping
from gradcost.spec.foreign import instead
from gradcost.units import ITEM_BYTES, Shape


@dataclass(frozen=True, slots=True)
class LayerType:
    """What a spec's ``type:`` names: the options it takes and how it becomes nodes.

    Attributes:
        name: the word after ``type:``.
        fields: its options.
        build: adds its nodes to the builder and returns the last.
        inputs: the least and the largest number of inputs (None: no limit).
    """

    name: str
    fields: Mapping[str, Field]
    build: Callable[[Builder, tuple[Node, ...], dict[str, Any]], Node]
    inputs: tuple[int, int | None] = (1, 1)


class Variables(NamedTuple):
    """What makes the operation that stands for an input which is differentiated by, from its shape and the batch.

    Attributes:
        of_batch: where derivatives are by the whole batch.
        of_sample: where each sample has a Jacobian of its own.
    """

    of_batch: Callable[[Shape, int], Layer]
    of_sample: Callable[[Shape, int], Layer]


class Builder:
    """Adds nodes for one spec layer after the other."""

    def __init__(self, spec: NetworkSpec, variables: Variables, inputs: Collection[str]) -> None:
        """Start with the inputs; those that are differentiated by become operations of one of the ``variables``."""
        per_sample = spec.outputs != "loss" and not spec.across_batch
        variable = variables.of_sample if per_sample else variables.of_batch
        self.spec = spec
        self.nodes: list[Node] = []
        self.outputs: dict[str, Node] = {}
        self.entry: LayerEntry | None = None
        self.number = ""
        for index, name in enumerate(inputs):
            given = spec.inputs[name]
            number = "0" if len(spec.inputs) == 1 else name
            varies = spec.wrt in ("inputs", name)
            if varies and given.vocabulary is not None:
                raise UsageError(f"wrt {spec.wrt!r}: the input {name!r} holds tokens, which have no derivative")
            layer = variable(given.shape, spec.batch) if varies else None
            node = Node(
                index,
                name,
                number,
                "a",
                layer,
                given.shape,
                (),
                trainable=varies,
                active=varies,
                batched=True,
                dims=layer.dims(spec.batch, ITEM_BYTES[spec.dtype], _subscript(number), ()) if layer else Dims({}, {}),
                owner=index,
                vocabulary=given.vocabulary,
            )
            self.nodes.append(node)
            self.outputs[name] = node

    def add(
        self,
        layer: Layer,
        *sources: Node,
        letter: str = "a",
        share: Node | None = None,
        step: int | None = None,
        part: str = "",
    ) -> Node:
        """Add one operation to the spec layer that is being built.

        ``share`` names the node whose parameters it uses; the others become attributes of the node.

        Raises:
            LayerError: the layer has a parameter that its class does not declare.
        """
        assert self.entry is not None
        tokens = next((source.label for source in sources if source.vocabulary is not None), None)
        if tokens is not None and not isinstance(layer, Source):
            raise self.error(f"the input {tokens!r} holds tokens, which are no numbers; read them by an embedding")
        undeclared = sorted(layer.parameters.keys() - set(layer.parameter_names))
        if undeclared:
            kind = type(layer).__name__
            raise LayerError(f"layer {kind} has the parameter {undeclared[0]}; name it in {kind}.parameter_names")
        if share is None:
            owner, shared = self._owner(layer)
        else:
            owner, shared = share.owner, frozenset(layer.parameters)
        trainable = bool(layer.parameters) and (self.nodes[owner].trainable if shared else self.entry.trainable)
        batched = layer.makes_batch or any(source.batched for source in sources)
        node = Node(
            index=len(self.nodes),
            label=self.entry.name,
            number=self.number,
            letter=letter,
            layer=layer,
            shape=layer.output,
            sources=tuple(source.index for source in sources),
            trainable=trainable,
            active=trainable or any(source.active for source in sources),
            batched=batched,
            dims=layer.dims(
                self.spec.batch if batched else None,
                ITEM_BYTES[self.spec.dtype],
                _subscript(self.number),
                tuple(_subscript(source.number) for source in sources),
            ),
            owner=owner,
            shared=shared,
            step=step,
            part=part,
        )
        self.nodes.append(node)
        return node

    def _owner(self, layer: Layer) -> tuple[int, frozenset[str]]:
        """Return the node that holds the layer's shared parameters, and their names."""
        assert self.entry is not None
        if self.entry.shares is None or not layer.parameters:
            return len(self.nodes), frozenset()
        wanted = self.entry.shares
        holders = [node for node in self.nodes if node.label == wanted and node.layer and node.layer.parameters]
        if len(holders) != 1:
            raise self.error(f"share: {wanted!r} must be a layer with parameters of its own")
        (holder,) = holders
        shared = frozenset(holder.op.parameters) & frozenset(layer.parameters)
        for name in sorted(shared):
            theirs, ours = list(holder.op.parameters[name]), list(layer.parameters[name])
            if theirs != ours:
                raise self.error(f"share: {name} of {wanted!r} is {theirs}, but {ours} is needed here")
        if not shared:
            raise self.error(f"share: {wanted!r} has no parameter that this layer has")
        return holder.owner, shared

    def error(self, problem: str) -> SpecError:
        """Return an error at the layer that is being built."""
        assert self.entry is not None
        return self.entry.error(problem)


def _subscript(number: str) -> str:
    return number if number.isdigit() else f"_{number}"


def build_graph(
    spec: NetworkSpec,
    types: Mapping[str, LayerType],
    losses: Mapping[str, type[Loss]],
    variables: Variables,
) -> Graph:
    """Build the graph of a spec from the registries of layer types and losses.

    ``variables`` makes what stands for an input that is differentiated by. Where a layer's output is differentiated,
    what it does not depend on is left out; where samples are coupled on the way, as by the statistics of a batch, its
    Jacobian is that of the whole batch.

    Raises:
        SpecError: an unknown type, option or loss, or shapes that do not fit.
        UsageError: what is differentiated, or what by, is not there.
    """
    check_names(spec, types, losses)
    _check_target(spec)
    needed = _needed(spec)
    builder = Builder(spec, variables, [name for name in spec.inputs if name in needed])
    infos = []
    for number, entry in enumerate(spec.layers, start=1):
        if entry.name not in needed:
            continue
        entry = replace(entry, trainable=entry.trainable and _within(entry.name, spec.wrt))
        kind = types[entry.type]
        builder.entry, builder.number = entry, str(number)
        sources = tuple(builder.outputs[source] for source in entry.sources)
        least, most = kind.inputs
        if len(sources) < least or (most is not None and len(sources) > most):
            wanted = f"{least}" if most == least else f"at least {least}"
            raise entry.error(f"{entry.type} reads {wanted} input{'s' * (wanted != '1')}, not {len(sources)}")
        options = read_mapping(entry.options, kind.fields, f"layer {entry.name!r} of type {entry.type}")
        first = len(builder.nodes)
        builder.outputs[entry.name] = kind.build(builder, sources, options)
        added = builder.nodes[first:]
        parameters = sum(prod(s) for n in added for name, s in n.op.parameters.items() if name not in n.shared)
        shape = builder.outputs[entry.name].shape
        infos.append(LayerInfo(entry.name, entry.type, entry.sources, shape, parameters))
    graph = Graph(
        spec.name,
        spec.dtype,
        spec.batch,
        tuple(builder.nodes),
        _loss_type(spec, losses)(builder.nodes[-1].shape),
        tuple(infos),
        spec,
    )
    if not graph.trained and spec.wrt != "params":
        raise UsageError(f"wrt {spec.wrt!r}: nothing in it is trainable, or {spec.outputs!r} does not depend on it")
    if graph.per_sample and graph.coupled:
        return build_graph(replace(spec, across_batch=True), types, losses, variables)
    return graph


def check_names(spec: NetworkSpec, types: Collection[str], losses: Mapping[str, type[Loss]]) -> None:
    """Refuse what does not exist: a type, a loss, its classes. Raises ``SpecError``; what others call ours is named."""
    for entry in spec.layers:
        if entry.type not in types:
            tail = instead(entry.type, foreign.LAYERS, types)
            raise SpecError(entry.type_where, f"unknown layer type {entry.type!r}{tail}")
    if spec.loss not in losses:
        raise SpecError(spec.loss_where, f"unknown loss {spec.loss!r}{instead(spec.loss, foreign.LOSSES, losses)}")
    if spec.targets is not None and losses[spec.loss].of_dense is None:
        able = ", ".join(name for name, loss in losses.items() if loss.of_dense is not None)
        raise SpecError(spec.targets_where, f"targets goes with a loss of classes ({able}), not {spec.loss}; remove it")


def _loss_type(spec: NetworkSpec, losses: Mapping[str, type[Loss]]) -> type[Loss]:
    """Return the loss that a spec asks for; for a Jacobian there is none."""
    found = losses[spec.loss if spec.outputs == "loss" else "none"]
    return found.of_dense if spec.targets == "dense" and found.of_dense is not None else found


def _check_target(spec: NetworkSpec) -> None:
    """Refuse names that are not there. Raises ``UsageError``."""
    layers = {entry.name: None for entry in spec.layers}
    if spec.outputs != "loss" and spec.outputs not in layers:
        raise UsageError(f"outputs {spec.outputs!r} is neither 'loss' nor a layer{nearest(spec.outputs, layers)}")
    named = spec.wrt in ("params", "inputs") or spec.wrt in spec.inputs
    if not named and not any(_within(name, spec.wrt) for name in layers):
        tail = nearest(spec.wrt, ["params", "inputs", *spec.inputs, *layers])
        raise UsageError(f"wrt {spec.wrt!r} is neither 'params', 'inputs' nor the name of a layer or input{tail}")


def _within(name: str, wrt: str) -> bool:
    """Whether a layer is what is differentiated by, or in the block that is."""
    return wrt == "params" or name == wrt or name.startswith(f"{wrt}.")


def _needed(spec: NetworkSpec) -> set[str]:
    """Return the names of all layers and inputs that what is differentiated depends on."""
    needed = {spec.layers[-1].name if spec.outputs == "loss" else spec.outputs}
    for entry in reversed(spec.layers):
        if entry.name in needed:
            needed.update(entry.sources)
            if entry.shares is not None:
                needed.add(entry.shares)
    return needed


def fold(builder: Builder, sources: tuple[Node, ...], layer: Callable[[Shape], Layer], what: str) -> Node:
    """Join sources of one shape two at a time, from the left. Raises ``SpecError`` where shapes differ."""
    if len({source.shape for source in sources}) > 1:
        shown = ", ".join(f"{source.label} {list(source.shape)}" for source in sources)
        raise builder.error(f"{what} needs inputs of one shape, not {shown}")
    total = sources[0]
    for position, source in enumerate(sources[1:], start=2):
        total = builder.add(layer(source.shape), total, source, letter="a" if position == len(sources) else "s")
    return total
