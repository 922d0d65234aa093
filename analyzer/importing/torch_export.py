"""from_torch: a PyTorch module, through ``torch.export``, as a spec (extra ``torch``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcost.errors import UsageError
from gradcost.importing.axes import Atom, UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.imported import Imported, check_loss, finished
from gradcost.importing.torch_operations import HANDLERS, getitem
from gradcost.importing.weights import Weight
from gradcost.units import DTYPES

if TYPE_CHECKING:
    import torch


def from_torch(module: torch.nn.Module, example_inputs: Sequence[torch.Tensor], *, loss: str = "none") -> Imported:
    """Return a module as a spec, with every parameter and every MAC of its primal.

    Args:
        module: as it is to be analysed: ``eval()`` or ``train()``, with ``requires_grad`` as it is to be trained.
        example_inputs: tensors that it is called with, the batch first; their shapes become the spec's.
        loss: the spec's, one of ``gradcost.layers.LOSSES``.

    Raises:
        UsageError: PyTorch is not installed, there is no such loss, or the module has operations without a counterpart;
            all of those are named.
    """
    check_loss(loss)
    try:
        import torch
    except ImportError:
        raise UsageError("from_torch needs the extra `torch`: pip install 'gradcost[torch]'") from None

    inputs = tuple(example_inputs)
    if not inputs or not all(isinstance(each, torch.Tensor) and each.dim() for each in inputs):
        raise UsageError("example_inputs must be tensors, the batch first")
    program = torch.export.export(module, inputs)
    return Reader(program, type(module).__name__, inputs[0].shape[0], loss).read()


class Reader:
    """Walks the exported graph; each node becomes a value, a parameter, a constant, or a tuple of them."""

    def __init__(self, program: torch.export.ExportedProgram, name: str, batch: int, loss: str) -> None:
        """Start with an empty draft."""
        import torch

        self.torch = torch
        self.program = program
        self.loss = loss
        parameters = [each.dtype for each in program.state_dict.values() if each.dtype.is_floating_point]
        dtype = str(parameters[0] if parameters else torch.float32).removeprefix("torch.")
        self.draft = Draft(name, dtype if dtype in DTYPES else "float32", Atom(batch, batch=True))
        if dtype not in DTYPES:
            self.draft.note(f"Its parameters are {dtype}; a spec has {', '.join(DTYPES[:-1])} or {DTYPES[-1]}.")
        self.found: dict[Any, Any] = {}
        self.problems: list[str] = []
        self.node: Any = None

    def read(self) -> Imported:
        """Read all nodes."""
        signature = self.program.graph_signature
        parameters = {**signature.inputs_to_parameters}
        buffers = {**signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
        for node in self.program.graph.nodes:
            self.node = node
            if node.op == "placeholder":
                self._placeholder(node, parameters, buffers)
            elif node.op == "output":
                (outputs,) = node.args
                final = [self.found.get(each) for each in outputs if each is not None]
            elif node.op == "call_function":
                self._call(node)
        name = self.draft.name
        return finished(self.draft, name, f"the PyTorch module {name}", final, self.problems, self.loss)

    def _placeholder(self, node: Any, parameters: dict[str, str], buffers: dict[str, str]) -> None:
        if node.name in parameters:
            tensor = self.program.state_dict[parameters[node.name]]
            key = (tensor.data_ptr(), tuple(tensor.shape)) if tensor.numel() else node.name
            self.found[node] = Weight(tuple(tensor.shape), key, tensor.requires_grad)
        elif node.name in buffers:
            name = buffers[node.name]
            constants = self.program.constants
            self.found[node] = constants[name] if name in constants else self.program.state_dict[name]
        else:
            try:
                self.found[node] = self.draft.input(node.name, list(node.meta["val"].shape))
            except UnsupportedError as problem:
                raise UsageError(str(problem)) from None

    def _call(self, node: Any) -> None:
        """Read one operation: folded where it reads constants alone, by its handler otherwise."""
        args = self.torch.fx.node.map_arg(node.args, lambda each: self.found.get(each))
        kwargs = self.torch.fx.node.map_arg(node.kwargs, lambda each: self.found.get(each))
        inputs = [self.found.get(each, None) for each in node.all_input_nodes]
        if any(each is None for each in inputs):
            return  # it reads what could not be read, which has been named
        if not any(isinstance(each, Value | Weight | tuple | list) for each in inputs):
            with self.torch.no_grad():
                self.found[node] = node.target(*args, **kwargs)
            return
        name = str(node.target).removeprefix("aten.")
        handler = HANDLERS.get(name) or HANDLERS.get(self.operation)
        if node.target.__class__.__name__ == "builtin_function_or_method":
            handler = getitem
        try:
            if handler is None:
                raise UnsupportedError("no layer type does this")
            self.found[node] = handler(self, *args, **kwargs)
        except UnsupportedError as problem:
            self.problems.append(f"{name} at {self.path or self.draft.name}, {self._shape(node)}: {problem}")
        except TypeError as problem:
            self.problems.append(
                f"{name} at {self.path or self.draft.name}: arguments that are not expected, {problem}"
            )

    @property
    def operation(self) -> str:
        """The operation's own name: ``relu`` for ``aten.relu_.default``, which writes over what it reads."""
        name = str(self.node.target).removeprefix("aten.").partition(".")[0]
        return name.removesuffix("_")

    @property
    def path(self) -> str:
        """Where the operation is in the module: ``layer1.0.conv1``."""
        stack = self.node.meta.get("nn_module_stack") or {}
        last = list(stack.values())[-1][0] if stack else ""
        return str(last).removeprefix("L['self']").strip(".").replace("['", ".").replace("']", "")

    @property
    def name(self) -> str:
        """The same, as a layer's name; the operation's own where it is the module's own code."""
        return self.path.replace(".", "_") or self.node.name

    def name_of(self, kind: str) -> str:
        """The same, for an operation that the module may have a submodule for, or do in its own code."""
        stack = list((self.node.meta.get("nn_module_stack") or {"": ("", "")}).values())
        return self.name if kind in str(stack[-1][1]).lower() else kind

    @staticmethod
    def _shape(node: Any) -> str:
        value = node.meta.get("val")
        return str(list(value.shape)) if hasattr(value, "shape") else "several tensors"

    @property
    def sizes(self) -> list[int]:
        """The shape of what the operation makes."""
        return [int(size) for size in self.node.meta["val"].shape]
