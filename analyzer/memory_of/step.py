"""A training step, and a forward pass alone, as PyTorch runs them: what is alive at each moment.

The loop is the one that ``docs/memory.md`` shows. The figure is that of its second step, when the optimizer's state
exists; what the step before left is gone but for what the choices hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import prod

from gradcost.chains.scopes import Scope, scope_of
from gradcost.errors import UsageError
from gradcost.graph import Graph
from gradcost.layers.add import Add
from gradcost.layers.batchnorm import BatchNorm, BatchNormTraining
from gradcost.layers.dense import Dense
from gradcost.memory_of.backward import Engine
from gradcost.memory_of.composites import Key, Unit, units
from gradcost.memory_of.eager import Eager
from gradcost.memory_of.lowering import linear, split
from gradcost.memory_of.optimizers import COUNTER, OPTIMIZERS, transient
from gradcost.memory_of.tensors import Tensor
from gradcost.spec.training import Training
from gradcost.units import ITEM_BYTES, Shape

MASTER = "float32"


@dataclass(frozen=True, slots=True)
class Held:
    """What is held, in bytes.

    Attributes:
        peak: the largest total of live storages.
        phase: of that moment: ``forward``, ``backward`` or ``step``.
        label: the layer that was at work.
        parameters: all of them, frozen ones and running statistics included.
        gradients: those of the trained parameters, when all are there.
        state: the optimizer's.
        master: the float32 copy of the parameters that it works on.
        data: inputs and targets.
        cache: keys and values of earlier tokens.
    """

    peak: int
    phase: str
    label: str
    parameters: int
    gradients: int
    state: int
    master: int
    data: int
    cache: int = 0

    @property
    def rest(self) -> int:
        """The peak without parameters, state and cache: gradients, values, data, and what is made on the way."""
        return self.peak - self.parameters - self.state - self.master - self.cache


def training_step(graph: Graph, training: Training) -> Held:
    """Predict the peak of a training step.

    Raises:
        UsageError: what is asked for does not fit the network, or there is no rule for a layer.
    """
    return _Step(graph, training).train()


def forward_pass(graph: Graph, training: Training, *, cache: int = 0) -> Held:
    """Predict the peak of a forward pass alone, with nothing kept for a derivative (``torch.no_grad``).

    Args:
        graph: the network.
        training: its precision, attention, projections, inplace and device count.
        cache: tokens whose keys and values are held, for decoding.

    Raises:
        UsageError: there is no rule for a layer.
    """
    return _Step(graph, training, recording=False).infer(cache)


class _Step:
    """One step over a network, in the making."""

    def __init__(self, graph: Graph, training: Training, *, recording: bool = True) -> None:
        if graph.jacobian or graph.spec.wrt != "params":
            raise UsageError(
                "PyTorch's memory is that of training: a loss, by the parameters; leave --outputs and --wrt"
            )
        self.graph, self.training = graph, training
        autocast = training.precision == "autocast"
        self.dtype = "float32" if autocast else training.precision or graph.dtype
        self.eager = Eager(
            device=training.device,
            autocast=autocast,
            recording=recording,
            inplace=training.inplace,
            onednn=training.onednn,
        )
        self.units = units(graph, training)
        self.parameters: dict[Key, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.readers = Counter(source for unit in self.units for source in unit.sources)
        self.readers[graph.output.index] += 1
        self._hold_parameters()

    def train(self) -> Held:
        eager, training, graph = self.eager, self.training, self.graph
        trained = {key: each.shape for key, each in self.parameters.items() if each.leaf is not None}
        state, master = self._state(list(trained.values()))
        data, target = self._hold_inputs(), self._hold_target()
        born: dict[object, Tensor] = {}
        if training.zero_grad == "zero" or training.accumulate > 1:
            born = {key: eager.new(shape, self.dtype, held=True) for key, shape in trained.items()}
        kept = eager.new((graph.batch, *graph.output.shape), self.dtype) if training.keep_outputs else None
        with eager.autocasting():
            named = self._forward_and_loss(target, kept)
        Engine(eager, born).run(named[-1])
        if training.optimizer != "none":
            eager.phase, eager.label = "step", ""
            eager.moment()
            self._optimize(list(trained.values()))
        eager.moment()
        eager.touch(*named)  # the loop's names for output and loss
        gradients = sum(map(prod, trained.values())) * ITEM_BYTES[self.dtype]
        data += target.bytes if target else 0
        return self._held(gradients=gradients, state=state, master=master, data=data)

    def infer(self, cache: int) -> Held:
        data = self._hold_inputs()
        held = cache * sum(unit.cached for unit in self.units) * self.graph.batch * ITEM_BYTES[self._low]
        self.eager.new((held,), "bool", held=True)
        with self.eager.autocasting():
            self._called(self.units)
            self._name_across_blocks()
        return self._held(data=data, cache=held)

    @property
    def _low(self) -> str:
        """What products are computed in."""
        return "bfloat16" if self.eager.autocast else self.dtype

    def _held(self, *, data: int, gradients: int = 0, state: int = 0, master: int = 0, cache: int = 0) -> Held:
        live = self.eager.live()
        peak = max(live)
        label, phase = self.eager.moments[live.index(peak)]
        return Held(peak, phase, label, self._held_parameters, gradients, state, master, data, cache)

    def _hold_parameters(self) -> None:
        for unit in self.units:
            for key, shape in unit.parameters.items():
                if key not in self.parameters:
                    self.parameters[key] = self.eager.new(shape, self.dtype, held=True)
                    self.parameters[key].leaf = key if key[0] in self.graph.trained else None
        norms = (node for node in self.graph.nodes if isinstance(node.layer, BatchNorm | BatchNormTraining))
        channels = [node.op.parameters["gamma"][0] for node in norms]  # a running mean and variance, and how many
        statistics = sum(2 * count * ITEM_BYTES[self.dtype] + ITEM_BYTES["int64"] for count in channels)
        self.eager.new((statistics,), "bool", held=True)
        self._held_parameters = statistics + sum(each.bytes for each in self.parameters.values())

    def _state(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        """Hold the optimizer's state, and the copy of the parameters that it works on; return their bytes."""
        optimizer = OPTIMIZERS[self.training.optimizer]
        own = ITEM_BYTES[MASTER if self.training.master else self.dtype]
        counters = COUNTER * len(shapes) * (optimizer.counts and self.training.device == "cpu")  # on cuda, not there
        state = sum(map(optimizer.state, shapes)) * own + counters
        master = sum(map(prod, shapes)) * ITEM_BYTES[MASTER] * self.training.master
        self.eager.new((state + master,), "bool", held=True)
        return state, master

    def _hold_inputs(self) -> int:
        for node in self.graph.nodes:
            if node.layer is None:
                dtype = self.dtype if node.vocabulary is None else "int64"
                self.values[node.index] = self.eager.new((self.graph.batch, *node.shape), dtype, held=True)
        return sum(value.bytes for value in self.values.values())

    def _hold_target(self) -> Tensor | None:
        loss = self.graph.loss
        if not loss.needs_target:
            return None
        return self.eager.new(loss.target_shape(self.graph.batch), loss.target_dtype(self.dtype), held=True)

    def _forward_and_loss(self, target: Tensor | None, kept: Tensor | None) -> list[Tensor]:
        """Run the network and the loss; return what the loop has a name for, the loss last.

        What the loop holds of the step before loses its name when the new output takes it.
        """
        if self.training.cross_entropy != "whole":
            return [self._chunked(target)]
        self._checkpointed(self.units)
        self._name_across_blocks()
        output = self.values[self.graph.output.index]
        if kept is not None:
            self.eager.touch(kept)
        self.eager.label = "loss"
        return [output, self._loss(output, target)]

    def _checkpointed(self, run: Sequence[Unit]) -> None:
        """Run what is checkpointed, block by block, and what is not."""
        scope = self._scope(self.training.checkpoints)
        for name, part in groupby(run, key=lambda unit: scope(unit.last.label)):
            block = list(part)
            if name is None:
                self._called(block)
                continue
            with self.eager.checkpointed(partial(self._block, block, dict(self.values)), self._inputs(block)):
                self._block(block, self.values)

    def _called(self, run: Sequence[Unit]) -> None:
        """Run units; each block of the spec is a function of its own."""
        scope = self._scope("blocks")
        for name, part in groupby(run, key=lambda unit: scope(unit.last.label)):
            (self._run if name is None else self._block)(list(part), self.values)

    def _block(self, block: Sequence[Unit], values: dict[int, Tensor]) -> None:
        """Run a block as a function does, in which values have names until it returns.

        Those are its inputs, what is read several times, and the operands of a sum that is read once, as in
        ``norm(out + x)``.
        """
        inputs = self._inputs(block)
        once = [unit for unit in block if self.readers[unit.last.index] == 1]
        named = {unit.last.index for unit in block} - {unit.last.index for unit in once}
        named |= {source for unit in once[:-1] if isinstance(unit.last.layer, Add) for source in unit.sources}
        try:
            self._run(block, values)
        finally:
            self.eager.touch(*inputs, *(values[index] for index in named if index in values))

    def _name_across_blocks(self) -> None:
        """What several blocks read, such as a skip of a U-Net, has a name until the whole forward pass returns."""
        scope = self._scope("blocks")
        read: dict[int, set[str | None]] = {}
        for unit in self.units:
            for source in unit.sources:
                read.setdefault(source, set()).add(scope(unit.last.label))
        self.eager.touch(*(self.values[source] for source, blocks in read.items() if len(blocks) > 1))

    def _scope(self, checkpoints: str) -> Scope:
        return scope_of((layer.name for layer in self.graph.layers), checkpoints)

    def _inputs(self, block: Sequence[Unit]) -> list[Tensor]:
        """Return the values from outside that a block reads."""
        inside = {unit.last.index for unit in block}
        read = dict.fromkeys(source for unit in block for source in unit.sources if source not in inside)
        return [self.values[source] for source in read]

    def _run(self, run: Sequence[Unit], values: dict[int, Tensor]) -> None:
        for unit in run:
            self.eager.label = unit.last.label
            value = unit.run(self.eager, [values[source] for source in unit.sources], self.parameters)
            value.readers += self.readers[unit.last.index]
            values[unit.last.index] = value

    def _loss(self, output: Tensor, target: Tensor | None) -> Tensor:
        eager, loss = self.eager, self.graph.loss
        if target is None:
            return eager.call("sum", (), self=output)
        if loss.name != "softmax_ce":
            return eager.call(
                {"mse": "mse_loss", "bce": "binary_cross_entropy"}[loss.name], (), self=output, target=target
            )
        flat = output
        if len(output.shape) > 2:
            flat = eager.reshape(output, (prod(output.shape[:-1]), output.shape[-1]))
        logs = eager.call("_log_softmax", flat.shape, self=flat)
        if loss.of_dense is not None:
            return eager.call("nll_loss_forward", (), dtype=logs.dtype, self=logs, target=target)
        rows = eager.reshape(target, flat.shape)
        return eager.call("sum", (), self=eager.call("mul.Tensor", flat.shape, self=logs, other=rows))

    def _chunked(self, target: Tensor | None) -> Tensor:
        """Run all but the last layer, then that and the loss in parts of the positions, each checkpointed."""
        last, count = self.units[-1], int(self.training.cross_entropy.partition(":")[2])
        (source,) = last.sources
        if not isinstance(last.last.layer, Dense) or self.graph.loss.of_dense is None or target is None:
            raise UsageError("cross_entropy in chunks needs a dense last layer and the loss softmax_ce of classes")
        if len(last.last.shape) < 2 or last.last.shape[0] % count:
            raise UsageError(
                f"{last.last.label!r} has no positions that {count} chunks divide; use cross_entropy: whole"
            )
        self._checkpointed(self.units[:-1])
        self.eager.label = last.last.label
        hidden = self.eager.permute(self.values[source], (1, 0, 2))
        named = {name: self.parameters[last.last.key(name),] for name in last.last.op.parameters}
        total: Tensor | None = None
        for part in split(self.eager, hidden, count, axis=0):
            run = partial(self._part, part, named, target)
            with self.eager.checkpointed(run, [part]):
                one = run()
            total = one if total is None else self.eager.call("add.Tensor", (), self=total, other=one)
        assert total is not None
        return total

    def _part(self, hidden: Tensor, named: Mapping[str, Tensor], target: Tensor) -> Tensor:
        return self._loss(linear(self.eager, hidden, named["W"], named.get("b")), target)

    def _optimize(self, shapes: Sequence[Shape]) -> None:
        own = ITEM_BYTES[MASTER if self.training.master else self.dtype]
        elements = transient(OPTIMIZERS[self.training.optimizer], shapes, together=self.training.device == "cuda")
        copies = sum(map(prod, shapes)) * ITEM_BYTES[MASTER] * self.training.master  # of the gradients, in float32
        self.eager.new((elements * own + copies,), "bool")
