"""from_onnx: an ONNX file as a spec (extra ``onnx``). Weights are not read: their shapes are enough."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcost.errors import UsageError
from gradcost.importing.axes import Atom, UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.imported import Imported, check_loss, finished
from gradcost.importing.onnx_operations import HANDLERS
from gradcost.importing.onnx_patterns import Causal, Gelu
from gradcost.importing.weights import Weight
from gradcost.numerics import Array, np

if TYPE_CHECKING:
    import onnx

# A network has the first of these that any of its weights has: a name of onnx.TensorProto, and our dtype.
FLOATS = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16"}
MOST_CONSTANT = 10**6  # elements of an initializer that is read as a constant


def from_onnx(
    path: str | Path, *, batch: int = 1, shapes: Mapping[str, Sequence[int]] | None = None, loss: str = "none"
) -> Imported:
    """Return an ONNX file as a spec, with every parameter and every MAC of its primal.

    Args:
        path: the file; weights that are stored beside it need not be there.
        batch: the size of the inputs' first axis, where the file leaves it open.
        shapes: whole shapes of inputs, where it leaves others open.
        loss: the spec's, one of ``gradcost.layers.LOSSES``.

    Raises:
        UsageError: onnx is not installed, there is no such loss, the file cannot be read, a size is open, or operations
            have no counterpart; all of those are named.
    """
    check_loss(loss)
    try:
        import onnx
    except ImportError:
        raise UsageError("importing an ONNX file needs the extra `onnx`: pip install 'gradcost[onnx]'") from None
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except DecodeError:
        raise UsageError(f"{str(path)!r} is no ONNX file") from None
    if not model.graph.node:
        raise UsageError(f"{str(path)!r} is no ONNX file, or an empty one")
    _set_shapes(model, batch, shapes or {})
    return Reader(model, Path(path), loss).read()


def _set_shapes(model: onnx.ModelProto, batch: int, shapes: Mapping[str, Sequence[int]]) -> None:
    """Fill in the sizes that are open. Raises ``UsageError`` for others than the batch's that nobody gave."""
    initializers = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in initializers]
    unknown = set(shapes) - {each.name for each in inputs}
    if unknown:
        names = ", ".join(each.name for each in inputs)
        raise UsageError(f"there is no input {sorted(unknown)[0]!r} (inputs: {names})")
    for each in inputs:
        axes = each.type.tensor_type.shape.dim
        shown = ",".join(str(axis.dim_value or axis.dim_param or "?") for axis in axes)
        given = shapes.get(each.name)
        if given is not None and len(given) != len(axes):
            raise UsageError(f"the input {each.name!r} has {len(axes)} axes, not {len(given)}")
        for place, axis in enumerate(axes):
            if given is not None:
                axis.dim_value = given[place]
            elif not axis.dim_value and place == 0:
                axis.dim_value = batch
            elif not axis.dim_value:
                raise UsageError(
                    f"the input {each.name!r} leaves sizes open ({shown}); give them: --shape {each.name}=..."
                )


class Reader:
    """Walks the nodes; each name becomes a value, an initializer, a constant array, or a tuple's part."""

    def __init__(self, model: onnx.ModelProto, path: Path, loss: str) -> None:
        """Note the inputs and the initializers."""
        import onnx

        self.onnx = onnx
        self.graph = model.graph
        self.opsets = {each.domain: each.version for each in model.opset_import}
        self.path, self.loss = path, loss
        sizes_of = {
            each.name: tuple(axis.dim_value for axis in each.type.tensor_type.shape.dim) for each in self.graph.input
        }
        self.kinds = {each.name: each.type.tensor_type.elem_type for each in self.graph.input}
        self.uses = Counter(name for node in self.graph.node for name in node.input)
        self.found: dict[str, Any] = {"": None}
        self.problems: list[str] = []
        self.products: dict[str, tuple[Value, Value]] = {}  # q and k of products that may be scores
        self.node: Any = None
        self.attributes: dict[str, Any] = {}
        for each in self.graph.initializer:
            self.found[each.name] = Weight(tuple(each.dims), each.name, tensor=each)
        inputs = [each for each in self.graph.input if each.name not in self.found]
        if not inputs or not sizes_of.get(inputs[0].name):
            raise UsageError(f"{str(path)!r} has no input that is a tensor with a batch axis")
        kinds = {each.data_type for each in self.graph.initializer}
        found = (dtype for name, dtype in FLOATS.items() if getattr(onnx.TensorProto, name) in kinds)
        dtype = next(found, "float32")
        name = self.graph.name if self.graph.name not in ("", "main_graph", "torch-jit-export") else path.stem
        batch = Atom(sizes_of[inputs[0].name][0], batch=True)
        self.draft = Draft(name, dtype, batch)
        for each in inputs:
            try:
                self.found[each.name] = self.draft.input(each.name, sizes_of.get(each.name, ()))
            except UnsupportedError as problem:
                raise UsageError(str(problem)) from None

    def read(self) -> Imported:
        """Read all nodes."""
        for node in self.graph.node:
            self._call(node)
        ends = [self.found.get(each.name) for each in self.graph.output]
        what, source = repr(str(self.path)), f"the ONNX file {self.path.name}"
        return finished(self.draft, what, source, ends, self.problems, self.loss)

    def _call(self, node: onnx.NodeProto) -> None:
        self.node = node
        self.attributes = {each.name: self.onnx.helper.get_attribute_value(each) for each in node.attribute}
        names = list(node.input)
        if any(name not in self.found for name in names):
            return  # it reads what could not be read, which has been named
        inputs = [self.found[name] for name in names]
        outputs = list(node.output)
        try:
            if node.op_type == "Shape" and isinstance(inputs[0], Value):
                made: Any = self._shape(inputs[0].sizes)
            elif not any(isinstance(each, Value | Gelu | Causal) for each in inputs) and not self._keeps(inputs):
                made = self._folded(inputs)
            else:
                handler = HANDLERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
                if handler is None:
                    raise UnsupportedError("no layer type does this")
                made = handler(self, *inputs)
        except UnsupportedError as problem:
            read = next((list(each.sizes) for each in inputs if isinstance(each, Value)), [])
            place = node.name or "".join(outputs[:1])
            self.problems.append(f"{node.op_type} at {place}, reading {read}: {problem}")
            return
        except Exception as problem:  # a damaged file raises many kinds, onnx's own too: each is named with its place
            place = node.name or (outputs[0] if outputs else "a node without outputs")
            self.problems.append(f"{node.op_type} at {place}: not as ONNX defines it, {_first_line(problem)}")
            return
        parts = made if isinstance(made, tuple) else (made,)
        self.found.update(zip(outputs, parts, strict=False))

    def _shape(self, sizes: Sequence[int]) -> Array:
        start, end = self.attributes.get("start", 0), self.attributes.get("end")
        return np.array(list(sizes)[start:end], dtype=np.int64)

    def _keeps(self, inputs: Sequence[Any]) -> bool:
        """Whether it only moves a parameter, which stays one."""
        first = inputs[0] if inputs else None
        large = isinstance(first, Weight) and math.prod(first.shape) > 1 and first.tensor.data_type in (1, 10, 11, 16)
        return large and self.node.op_type in (
            "Transpose",
            "Identity",
            "Cast",
            "Unsqueeze",
            "Reshape",
            "Expand",
            "Gather",
        )

    def _folded(self, inputs: Sequence[Any]) -> Any:
        """Compute what depends on constants alone, with ONNX's own reference."""
        from onnx.reference import ReferenceEvaluator

        if self.node.op_type in ("ConstantOfShape", "Expand"):  # the two that make much of little
            size = math.prod(self.integers(inputs[-1]))
            if not 0 <= size <= MOST_CONSTANT:
                raise UnsupportedError(f"a constant of {size:,} elements")
        helper = self.onnx.helper
        arrays = {name: self.constant(each) for name, each in zip(self.node.input, inputs, strict=True) if name}
        given = [helper.make_value_info(name, self.onnx.TypeProto()) for name in arrays]
        made = [helper.make_value_info(name, self.onnx.TypeProto()) for name in self.node.output if name]
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        model = helper.make_model(helper.make_graph([self.node], "constant", given, made), opset_imports=opsets)
        results = ReferenceEvaluator(model).run(None, arrays)
        return tuple(np.asarray(each) for each in results)

    def constant(self, each: Any) -> Array:
        """Return a constant. Raises ``UnsupportedError`` for what is computed, or too large to be one."""
        if isinstance(each, Weight):
            if math.prod(each.shape) > MOST_CONSTANT:
                raise UnsupportedError(f"it computes with a parameter of shape {list(each.shape)}")
            try:
                return np.asarray(self.onnx.numpy_helper.to_array(each.tensor, base_dir=str(self.path.parent)))
            except (OSError, ValueError):
                raise UnsupportedError(f"the values of {each.key!r} are stored elsewhere, and not there") from None
        if isinstance(each, Value | Gelu | Causal):
            raise UnsupportedError("a size or a factor is computed from the data")
        return np.asarray(each)

    def scalar(self, each: Any) -> float | None:
        """Return a constant of one element; None for a tensor."""
        if isinstance(each, Value | Gelu | Causal) or (isinstance(each, Weight) and math.prod(each.shape) != 1):
            return None
        found = self.constant(each)
        return float(found.reshape(())) if found.size == 1 else None

    def integers(self, each: Any) -> list[int]:
        """Return a constant list of whole numbers."""
        return [int(number) for number in self.constant(each).reshape(-1)]

    def axes(self, given: Any) -> list[int] | None:
        """Return axes: an attribute of old operator sets, an input of new ones."""
        if "axes" in self.attributes:
            return [int(axis) for axis in self.attributes["axes"]]
        return None if given is None else self.integers(given)

    @property
    def name(self) -> str:
        """The node's name as a layer's: ``/layer1/0/conv1/Conv`` is layer1_0_conv1."""
        path = [part for part in self.node.name.split("/") if part]
        if len(path) > 1 and path[-1].split("_")[0] == self.node.op_type:
            path = path[:-1]
        name = "_".join(path).replace(".", "_")
        return name.removeprefix("node_") or self.node.op_type.lower()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of the first output, by ONNX's own inference for this node."""
        helper, inputs = self.onnx.helper, {name: self.found[name] for name in self.node.input if name}
        version = self.opsets.get("", 1)
        schema = self.onnx.defs.get_schema(self.node.op_type, version, "")
        types, data = {}, {}
        for name, each in inputs.items():
            if isinstance(each, Value):
                kind = self.kinds.get(name, self.onnx.TensorProto.FLOAT)
                types[name] = helper.make_tensor_type_proto(kind, each.sizes)
            elif isinstance(each, Weight) and math.prod(each.shape) > MOST_CONSTANT:
                types[name] = helper.make_tensor_type_proto(each.tensor.data_type, each.shape)
            else:
                tensor = self.onnx.numpy_helper.from_array(np.ascontiguousarray(self.constant(each)), name)
                types[name], data[name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims), tensor
                if isinstance(each, Weight):
                    types[name] = helper.make_tensor_type_proto(each.tensor.data_type, each.shape)
        try:
            found = self.onnx.shape_inference.infer_node_outputs(
                schema, self.node, types, data, opset_imports=[helper.make_opsetid("", version)]
            )
        except self.onnx.shape_inference.InferenceError as error:
            raise UnsupportedError(f"its shapes do not fit: {str(error).splitlines()[0][:120]}") from None
        axes = found[self.node.output[0]].tensor_type.shape.dim if self.node.output[0] in found else []
        sizes = tuple(axis.dim_value for axis in axes)
        if not sizes or 0 in sizes:
            raise UnsupportedError("its shape cannot be inferred")
        return sizes

    def pads(self) -> Any:
        """Return padding for each axis, a number for all, or a word."""
        auto = self.attributes.get("auto_pad", b"NOTSET").decode()
        if auto in ("VALID", "NOTSET") and "pads" not in self.attributes:
            return 0
        if auto == "SAME_UPPER":
            return "same"
        if auto == "SAME_LOWER":
            raise UnsupportedError("it pads in front first (SAME_LOWER)")
        pads = list(self.attributes["pads"])
        rank = len(pads) // 2
        if pads[:rank] != pads[rank:]:
            raise UnsupportedError(f"it pads its two ends differently: {pads}")
        return pads[:rank]


def _first_line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {str(problem).partition(chr(10))[0][:120]}"
