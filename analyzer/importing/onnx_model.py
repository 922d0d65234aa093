"""from_onnx: an ONNX file as a spec (extra ``onnx``). Weights are not read: their shapes are enough."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcost.errors import UsageError
from gradcost.importing.axes import Atom, UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.imported import Imported
from gradcost.importing.options import short, unless
from gradcost.numerics import Array, np

if TYPE_CHECKING:
    import onnx

Handler = Callable[..., Any]
HANDLERS: dict[str, Handler] = {}
MOST_CONSTANT = 10**6  # elements of an initializer that is read as a constant
HALF_ROOT = math.sqrt(0.5)


@dataclass(frozen=True, eq=False)
class Initial:
    """An initializer: a parameter where an operation expects one, a constant where it is small and read as such."""

    shape: tuple[int, ...]
    key: object
    tensor: Any


@dataclass(frozen=True)
class Gelu:
    """A part of x (1 + erf(x / sqrt 2)) / 2, as files write a gelu that is older than its operation."""

    stage: str
    base: Value


@dataclass(frozen=True)
class Causal:
    """Scores of attention with a mask added that hides what is ahead, and then their softmax."""

    q: Value
    k: Value
    weights: bool = False


def from_onnx(
    path: str | Path, *, batch: int = 1, shapes: Mapping[str, Sequence[int]] | None = None, loss: str = "none"
) -> Imported:
    """Return an ONNX file as a spec, with every parameter and every MAC of its primal.

    Args:
        path: the file; weights that are stored beside it need not be there.
        batch: the size of the inputs' first axis, where the file leaves it open.
        shapes: whole shapes of inputs, where it leaves others open.
        loss: the spec's: ``bce``, ``softmax_ce``, ``mse`` or ``none``.

    Raises:
        UsageError: onnx is not installed, the file cannot be read, a size is open, or operations have no counterpart;
            all of those are named.
    """
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
    return _Reader(model, Path(path), loss).read()


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


class _Reader:
    """Walks the nodes; each name becomes a value, an initializer, a constant array, or a tuple's part."""

    def __init__(self, model: onnx.ModelProto, path: Path, loss: str) -> None:
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
            self.found[each.name] = Initial(tuple(each.dims), each.name, each)
        inputs = [each for each in self.graph.input if each.name not in self.found]
        if not inputs or not sizes_of.get(inputs[0].name):
            raise UsageError(f"{str(path)!r} has no input that is a tensor with a batch axis")
        floats = {each.data_type for each in self.graph.initializer} - {onnx.TensorProto.INT64, onnx.TensorProto.INT32}
        double = onnx.TensorProto.DOUBLE in floats and onnx.TensorProto.FLOAT not in floats
        name = self.graph.name if self.graph.name not in ("", "main_graph", "torch-jit-export") else path.stem
        batch = Atom(sizes_of[inputs[0].name][0], batch=True)
        self.draft = Draft(name, "float64" if double else "float32", batch)
        for each in inputs:
            try:
                self.found[each.name] = self.draft.input(each.name, sizes_of.get(each.name, ()))
            except UnsupportedError as problem:
                raise UsageError(str(problem)) from None

    def read(self) -> Imported:
        """Read all nodes."""
        for node in self.graph.node:
            self._call(node)
        if self.problems:
            listed = "\n  ".join(self.problems[:20])
            more = f"\n  and {len(self.problems) - 20:,} more" if len(self.problems) > 20 else ""
            raise UsageError(f"{str(self.path)!r} has operations without a counterpart in a spec:\n  {listed}{more}")
        ends = [self.found.get(each.name) for each in self.graph.output]
        results = [each for each in ends if isinstance(each, Value)]
        if not results:
            raise UsageError(f"{str(self.path)!r} returns nothing that it computes from its inputs")
        if len(results) > 1:
            self.draft.note("It returns several tensors; the spec ends at the first.")
        self.draft.end(results[0])
        return Imported(self.draft, self.loss, f"the ONNX file {self.path.name}")

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
        large = isinstance(first, Initial) and math.prod(first.shape) > 1 and first.tensor.data_type in (1, 10, 11, 16)
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
        if isinstance(each, Initial):
            if math.prod(each.shape) > MOST_CONSTANT:
                raise UnsupportedError(f"it computes with a parameter of shape {list(each.shape)}")
            try:
                return np.asarray(self.onnx.numpy_helper.to_array(each.tensor, base_dir=str(self.path.parent)))
            except (OSError, ValueError):
                raise UnsupportedError(f"the values of {each.key!r} are stored elsewhere, and not there") from None
        if isinstance(each, Value | Gelu | Causal):
            raise UnsupportedError("a size or a factor is computed from the data")
        return np.asarray(each)

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
            elif isinstance(each, Initial) and math.prod(each.shape) > MOST_CONSTANT:
                types[name] = helper.make_tensor_type_proto(each.tensor.data_type, each.shape)
            else:
                tensor = self.onnx.numpy_helper.from_array(np.ascontiguousarray(self.constant(each)), name)
                types[name], data[name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims), tensor
                if isinstance(each, Initial):
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

    def own(self, layer: str, **parameters: Any) -> None:
        """Note the parameters of the layer just added, by their names there."""
        given = {name: each for name, each in parameters.items() if each is not None}
        if not all(isinstance(each, Initial) for each in given.values()):
            raise UnsupportedError("its weights are computed")
        self.draft.own(layer, {name: each.key for name, each in given.items()})

    def pads(self, rank: int) -> Any:
        """Return padding as a spec has it: one number, one for each axis, or a word."""
        auto = self.attributes.get("auto_pad", b"NOTSET").decode()
        if auto in ("VALID", "NOTSET") and "pads" not in self.attributes:
            return 0
        if auto == "SAME_UPPER":
            return "same"
        if auto == "SAME_LOWER":
            raise UnsupportedError("it pads in front first (SAME_LOWER)")
        pads = list(self.attributes["pads"])
        if pads[:rank] != pads[rank:]:
            raise UnsupportedError(f"it pads its two ends differently: {pads}")
        return short(pads[:rank])


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register what reads the operations of these names."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def _first_line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {str(problem).partition(chr(10))[0][:120]}"


def _value(each: Any) -> Value:
    if not isinstance(each, Value):
        raise UnsupportedError("it computes with a constant or a parameter in a way that no layer does")
    return each


# ---- layers ----


@handles("Gemm")
def _gemm(reader: _Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    given = reader.attributes
    if given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1 or given.get("transA", 0):
        raise UnsupportedError("it scales or transposes its input")
    if not isinstance(weight, Initial):
        return reader.draft.matmul(reader.name, _value(x), _value(weight))
    units = weight.shape[0] if given.get("transB", 0) else weight.shape[1]
    made = reader.draft.dense(reader.name, _value(x), units, bias=bias is not None)
    reader.own(made.layer, W=weight, b=bias)
    return made


@handles("MatMul")
def _matmul(reader: _Reader, a: Any, b: Any) -> Value:
    if isinstance(b, Initial) and len(b.shape) == 2:
        made = reader.draft.dense(reader.name, _value(a), b.shape[1], bias=False)
        reader.own(made.layer, W=b)
        return made
    if isinstance(a, Causal) and a.weights:
        return reader.draft.attention(reader.name, a.q, a.k, _value(b), causal=True, scale=1.0)
    made = reader.draft.matmul(reader.name, _value(a), _value(b))
    reader.products[made.layer] = _value(a), _value(b).swapped(-1, -2)
    return made


@handles("Conv", "ConvTranspose")
def _conv(reader: _Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    if not isinstance(weight, Initial):
        raise UnsupportedError("its weights are computed")
    given, rank = reader.attributes, len(weight.shape) - 2
    groups, transposed = given.get("group", 1), reader.node.op_type == "ConvTranspose"
    if rank > 2 or (transposed and rank != 2) or "output_shape" in given:
        raise UnsupportedError(f"a convolution over {rank} axes" + (", or with an output_shape" if transposed else ""))
    options = {
        "filters": weight.shape[1] * groups if transposed else weight.shape[0],
        "kernel": short(weight.shape[2:]),
        "stride": unless(short(given.get("strides", [1])), 1),
        "padding": unless(reader.pads(rank), 0),
        "dilation": unless(short(given.get("dilations", [1])), 1),
        "groups": unless(groups, 1),
        "bias": None if bias is not None else False,
    }
    if transposed:
        options["output_padding"] = unless(short(given.get("output_padding", [0])), 0)
    kind = "conv_transpose2d" if transposed else f"conv{rank}d"
    value = reader.draft.channels_first(_value(x), rank + 1)
    made = reader.draft.geometry(reader.name, kind, value, reader.sizes, **options)
    reader.own(made.layer, W=weight, b=bias)
    return made


@handles("BatchNormalization")
def _batch_norm(reader: _Reader, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
    training = bool(reader.attributes.get("training_mode", 0))
    eps = unless(round(reader.attributes.get("epsilon", 1e-5), 10), 1e-5) if training else None
    options = {"statistics": "batch" if training else None, "eps": eps}
    made = reader.draft.channelwise(reader.name, "batchnorm", _value(x), **options)
    reader.own(made.layer, gamma=scale, beta=bias)
    return made


@handles("InstanceNormalization", "GroupNormalization")
def _group_norm(reader: _Reader, x: Any, scale: Any, bias: Any) -> Value:
    channels = _value(x).sizes[1]
    groups = reader.attributes.get("num_groups", channels)
    if isinstance(scale, Initial) and scale.shape != (channels,):
        raise UnsupportedError("it has a gamma for each group, not for each channel")
    eps = unless(round(reader.attributes.get("epsilon", 1e-5), 10), 1e-5)
    made = reader.draft.channelwise(reader.name, "groupnorm", _value(x), groups=groups, eps=eps)
    reader.own(made.layer, gamma=scale, beta=bias)
    return made


@handles("LayerNormalization")
def _layer_norm(reader: _Reader, x: Any, scale: Any, bias: Any = None) -> Value:
    value = _value(x)
    if bias is None or reader.attributes.get("axis", -1) % len(value.axes) != len(value.axes) - 1:
        raise UnsupportedError("a layernorm has gamma and beta, over the last axis")
    eps = unless(round(reader.attributes.get("epsilon", 1e-5), 10), 1e-5)
    made = reader.draft.over_last(reader.name, "layernorm", value, eps=eps)
    reader.own(made.layer, gamma=scale, beta=bias)
    return made


@handles("Gather")
def _gather(reader: _Reader, data: Any, indices: Any) -> Any:
    draft, axis = reader.draft, reader.attributes.get("axis", 0)
    if isinstance(data, Initial) and isinstance(indices, Value):
        if axis != 0 or len(data.shape) != 2 or indices.layer not in draft.inputs:
            raise UnsupportedError("an embedding reads an input of tokens")
        rows, units = data.shape
        if draft.vocabularies.setdefault(indices.layer, rows) != rows:
            raise UnsupportedError("two embeddings of different sizes read the same tokens")
        layer = draft.add(reader.name, "embedding", [indices], units=units)
        reader.own(layer, W=data)
        new = Atom(units)
        return Value(layer, (*indices.shape, units), (*indices.stored, new), (*indices.axes, (new,)))
    if isinstance(data, Initial):
        if not np.array_equal(reader.constant(indices).reshape(-1), np.arange(data.shape[0])):
            raise UnsupportedError("it looks up fixed rows of a table: only all of them, in order, are positions")
        return replace(data)
    places = reader.constant(indices)
    if places.size != 1:
        raise UnsupportedError("it picks several places at once")
    value, index = _value(data), int(places.reshape(-1)[0])
    index %= value.sizes[axis]
    part = draft.slice(reader.name, value, axis, index, index + 1)
    return part.without_axis(axis) if places.ndim == 0 else part


@handles("LSTM", "GRU", "RNN")
def _recurrent(
    reader: _Reader, x: Any, W: Any, R: Any, bias: Any = None, lengths: Any = None, *states: Any
) -> tuple[Any, ...]:
    given, kind = reader.attributes, reader.node.op_type.lower()
    if given.get("direction", b"forward") != b"forward":
        raise UnsupportedError("it reads the sequence backwards, or in both directions")
    if any(each is not None and reader.constant(each).any() for each in states):
        raise UnsupportedError("its first state is not zero, or it has peepholes")
    if given.get("layout", 0) or (kind == "gru" and not given.get("linear_before_reset", 0)):
        raise UnsupportedError("layout 1, or a reset gate in front of the product")
    usual = {"lstm": [b"Sigmoid", b"Tanh", b"Tanh"], "gru": [b"Sigmoid", b"Tanh"], "rnn": [b"Tanh"]}[kind]
    names = list(given.get("activations", usual))
    if "clip" in given or (names != usual and not (kind == "rnn" and names == [b"Relu"])):
        raise UnsupportedError("it clips, or has activations of its own")
    value = reader.draft.laid_out(_value(x))
    if value.batch_axis != 1 or len(value.own_shape) != 2:
        raise UnsupportedError("it reads a sequence without a batch")
    units = R.shape[2]
    options = {
        "units": units,
        "sequence": True,
        "activation": "relu" if names == [b"Relu"] else None,
        "bias": None if bias is not None else False,
        "hidden_bias": True if bias is not None and kind != "gru" else None,
    }
    layer = reader.draft.add(reader.name, kind, [value], **options)
    reader.own(layer, W=W, R=R, B=bias)
    made = reader.draft.with_last(value, layer, units)
    steps = value.sizes[0]
    if any(reader.uses[name] for name in list(reader.node.output)[1:2] if name):
        return made.with_axis(1), reader.draft.slice(f"{reader.name}_last", made, 0, steps - 1, steps)
    return (made.with_axis(1),)


# ---- pooling ----


@handles("MaxPool", "AveragePool")
def _pool(reader: _Reader, x: Any) -> Value:
    given, kind = reader.attributes, "max_pool" if reader.node.op_type == "MaxPool" else "avg_pool"
    kernel = short(given["kernel_shape"])
    if len(given["kernel_shape"]) != 2 or short(given.get("dilations", [1])) != 1 or given.get("ceil_mode", 0):
        raise UnsupportedError("windows over one axis, dilated ones, or sizes rounded up (ceil_mode)")
    padding = reader.pads(2)
    if kind == "avg_pool" and padding != 0 and not given.get("count_include_pad", 0):
        raise UnsupportedError("a mean that leaves its padding out")
    options = {"kernel": kernel, "stride": unless(short(given.get("strides", [1, 1])), kernel)}
    value = reader.draft.channels_first(_value(x), 3)
    return reader.draft.geometry(reader.name, kind, value, reader.sizes, **options, padding=unless(padding, 0))


@handles("GlobalAveragePool")
def _global_pool(reader: _Reader, x: Any) -> Value:
    value = _value(x)
    return reader.draft.mean(reader.name, value, range(2, len(value.axes)), keep=True)


@handles("ReduceMean")
def _mean(reader: _Reader, x: Any, axes: Any = None) -> Value:
    places = reader.axes(axes)
    if not places:
        raise UnsupportedError("it takes the mean over the batch too")
    return reader.draft.mean(reader.name, _value(x), places, keep=bool(reader.attributes.get("keepdims", 1)))


# ---- elementwise ----

ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hardswish", "Softplus": "softplus"}


@handles(*ACTIVATIONS)
def _activation(reader: _Reader, x: Any) -> Value:
    return activation(reader, _value(x), ACTIVATIONS[reader.node.op_type])


def activation(reader: _Reader, x: Value, kind: str, **options: Any) -> Value:
    """Add an activation."""
    return reader.draft.elementwise(reader.name, "activation", x, activation=kind, **options)


@handles("Gelu")
def _gelu(reader: _Reader, x: Any) -> Value:
    if reader.attributes.get("approximate", b"none") != b"none":
        reader.draft.note("Its gelu is the tanh approximation; here it is the exact one, which counts erf for tanh.")
    return activation(reader, _value(x), "gelu")


@handles("Erf")
def _erf(reader: _Reader, x: Any) -> Gelu:
    base = _scaled(reader, _value(x), HALF_ROOT)
    if base is None:
        raise UnsupportedError("an erf that is not part of a gelu")
    return Gelu("erf", base)


def _scaled(reader: _Reader, value: Value, factor: float) -> Value | None:
    """Return what a value is a multiple of; None where it is none, or another."""
    entry = next((entry for entry in reader.draft.entries if entry.name == value.layer), None)
    if entry is None or entry.type != "scale" or not math.isclose(entry.options["factor"], factor, rel_tol=1e-5):
        return None
    return replace(value, layer=entry.sources[0])


@handles("LeakyRelu")
def _leaky_relu(reader: _Reader, x: Any) -> Value:
    slope = round(reader.attributes.get("alpha", 0.01), 8)
    return activation(reader, _value(x), "leaky_relu", negative_slope=unless(slope, 0.01))


@handles("HardSigmoid")
def _hard_sigmoid(reader: _Reader, x: Any) -> Value:
    if not math.isclose(reader.attributes.get("alpha", 0.2), 1 / 6, rel_tol=1e-5):
        raise UnsupportedError("a hardsigmoid of another slope than 1/6")
    return activation(reader, _value(x), "hardsigmoid")


@handles("Clip")
def _clip(reader: _Reader, x: Any, low: Any = None, high: Any = None) -> Value:
    given = reader.attributes
    ends = [given.get("min"), given.get("max")] if "min" in given or "max" in given else [low, high]
    found = [None if end is None else float(reader.constant(end).reshape(())) for end in ends]
    if found == [0, 6]:
        return activation(reader, _value(x), "relu6")
    if found == [0, None]:
        return activation(reader, _value(x), "relu")
    raise UnsupportedError(f"it clips to {found[0]} and {found[1]}; a spec has relu6, 0 and 6")


@handles("Softmax", "LogSoftmax")
def _softmax(reader: _Reader, x: Any) -> Any:
    if isinstance(x, Causal) and reader.node.op_type == "Softmax":
        return replace(x, weights=True)
    value = _value(x)
    axis = reader.attributes.get("axis", -1 if reader.opsets.get("", 1) >= 13 else 1)
    if axis % len(value.axes) != len(value.axes) - 1:
        raise UnsupportedError("a softmax that is not over the last axis")
    if reader.node.op_type == "LogSoftmax":
        if reader.uses[reader.node.output[0]]:
            raise UnsupportedError("a log_softmax that is not the last operation")
        reader.draft.note("Its last log_softmax is part of the loss softmax_ce, which takes logits.")
        return value
    return reader.draft.over_last(reader.name, "activation", value, activation="softmax")


@handles("Add")
def _add(reader: _Reader, a: Any, b: Any) -> Any:
    if not isinstance(a, Value | Gelu | Causal):
        a, b = b, a
    if isinstance(a, Gelu):
        if a.stage != "erf" or float(reader.constant(b).reshape(())) != 1:
            raise UnsupportedError("an erf that is not part of a gelu")
        return Gelu("1+erf", a.base)
    value = _value(a)
    if isinstance(b, Value):
        return reader.draft.join(reader.name, "add", [value, b])
    if value.layer in reader.products and _hides_what_is_ahead(reader.constant(b), value.sizes):
        return Causal(*reader.products[value.layer])
    if not isinstance(b, Initial):
        raise UnsupportedError("it adds a constant")
    entry = reader.draft.entries[-1] if reader.draft.entries else None
    dense = entry is not None and entry.name == value.layer and entry.type == "dense"
    if dense and entry and entry.options.get("bias") is False and b.shape == (entry.options["units"],):
        del entry.options["bias"]  # the bias of the product just before
        reader.own(entry.name, b=b)
        return value
    laid = reader.draft.laid_out(value)
    given = list(b.shape)
    while len(given) > len(laid.own_shape) and given[0] == 1:
        given = given[1:]
    if tuple(given) != laid.own_shape:
        raise UnsupportedError(f"it adds a parameter of shape {list(b.shape)} to {list(value.sizes)}")
    made = reader.draft.elementwise(reader.name, "positional", laid)
    reader.own(made.layer, W=b)
    return made


def _hides_what_is_ahead(mask: Array, sizes: Sequence[int]) -> bool:
    """Whether a mask is 0 up to the diagonal, and minus infinity, or nearly, behind it."""
    if mask.shape[-2:] != tuple(sizes[-2:]) or mask.size != math.prod(sizes[-2:]) or sizes[-1] != sizes[-2]:
        return False
    ahead = np.triu(np.ones(mask.shape[-2:], bool), 1)
    plain = mask.reshape(mask.shape[-2:])
    return bool((plain[~ahead] == 0).all() and (plain[ahead] < -1e4).all())


@handles("Sub")
def _sub(reader: _Reader, a: Any, b: Any) -> Value:
    less = reader.draft.elementwise(f"{reader.name}_minus", "scale", _value(b), factor=-1.0)
    return reader.draft.join(reader.name, "add", [_value(a), less])


@handles("Mul")
def _mul(reader: _Reader, a: Any, b: Any) -> Any:
    if isinstance(b, Gelu) or not isinstance(a, Value | Gelu | Causal):
        a, b = b, a
    if isinstance(a, Gelu):
        return _gelu_product(reader, a, b)
    factor = _scalar(reader, b)
    if factor is not None:
        return reader.draft.elementwise(reader.name, "scale", _value(a), factor=factor)
    return reader.draft.join(reader.name, "multiply", [_value(a), _value(b)])


def _gelu_product(reader: _Reader, part: Gelu, other: Any) -> Any:
    """Return gelu(x) once x, 1 + erf(x / sqrt 2) and a half have met, in any order."""
    if isinstance(other, Value) and part.stage == "1+erf":
        if other.layer == part.base.layer:
            return Gelu("x (1+erf)", part.base)
        half = _scaled(reader, other, 0.5)
        if half is not None and half.layer == part.base.layer:
            return activation(reader, part.base, "gelu")
    elif not isinstance(other, Value | Gelu | Causal) and part.stage == "x (1+erf)" and _scalar(reader, other) == 0.5:
        return activation(reader, part.base, "gelu")
    raise UnsupportedError("an erf that is not part of a gelu")


@handles("Div")
def _div(reader: _Reader, a: Any, b: Any) -> Value:
    divisor = None if isinstance(b, Value | Gelu | Causal) else _scalar(reader, b)
    if divisor is None:
        raise UnsupportedError("it divides by a tensor")
    return reader.draft.elementwise(reader.name, "scale", _value(a), factor=1 / divisor)


@handles("Neg")
def _neg(reader: _Reader, x: Any) -> Value:
    return reader.draft.elementwise(reader.name, "scale", _value(x), factor=-1.0)


def _scalar(reader: _Reader, each: Any) -> float | None:
    """Return a constant of one element; None for a tensor."""
    if isinstance(each, Value | Gelu | Causal) or (isinstance(each, Initial) and math.prod(each.shape) != 1):
        return None
    found = reader.constant(each)
    return float(found.reshape(())) if found.size == 1 else None


# ---- views and moves ----


@handles("Identity", "Cast", "Dropout")
def _same(reader: _Reader, x: Any, *rest: Any) -> Any:
    return x


@handles("Reshape", "Flatten")
def _reshape(reader: _Reader, x: Any, *rest: Any) -> Any:
    if isinstance(x, Initial):
        return Initial(reader.sizes, x.key, x.tensor)
    return _value(x).reshaped(reader.sizes)


@handles("Transpose")
def _transpose(reader: _Reader, x: Any) -> Any:
    rank = len(x.shape) if isinstance(x, Initial) else len(_value(x).axes)
    order = list(reader.attributes.get("perm", range(rank - 1, -1, -1)))
    if isinstance(x, Initial):
        return Initial(tuple(x.shape[axis] for axis in order), x.key, x.tensor)
    return _value(x).moved(order)


@handles("Unsqueeze")
def _unsqueeze(reader: _Reader, x: Any, axes: Any = None) -> Any:
    if isinstance(x, Initial):
        return Initial(reader.sizes, x.key, x.tensor)
    value, places = _value(x), reader.axes(axes) or []
    rank = len(value.axes) + len(places)
    for axis in sorted(axis % rank for axis in places):
        value = value.with_axis(axis)
    return value


@handles("Squeeze")
def _squeeze(reader: _Reader, x: Any, axes: Any = None) -> Value:
    value, places = _value(x), reader.axes(axes)
    count = len(value.axes)
    wanted = range(count) if places is None else [axis % count for axis in places]
    for axis in sorted(wanted, reverse=True):
        if value.sizes[axis] == 1 and axis != value.batch_axis:
            value = value.without_axis(axis)
    return value


@handles("Expand")
def _expand(reader: _Reader, x: Any, shape: Any) -> Any:
    if isinstance(x, Initial):
        return Initial(tuple(np.broadcast_shapes(x.shape, tuple(reader.integers(shape)))), x.key, x.tensor)
    if tuple(np.broadcast_shapes(_value(x).sizes, tuple(reader.integers(shape)))) != _value(x).sizes:
        raise UnsupportedError("it repeats a tensor along an axis")
    return x


@handles("Concat")
def _concat(reader: _Reader, *parts: Any) -> Value:
    axis, first = reader.attributes["axis"], parts[0]
    if isinstance(first, Initial) and len(parts) == 2:
        value = reader.draft.channels_first(_value(parts[1]), 2)
        if axis % 3 != 1 or tuple(first.shape[1:]) != (1, value.own_shape[-1]):
            raise UnsupportedError(f"it puts a parameter of shape {list(first.shape)} in front")
        made = reader.draft.geometry(reader.name, "class_token", value, reader.sizes)
        reader.own(made.layer, c=first)
        return made
    values = [_value(each) for each in parts]
    return values[0] if len(values) == 1 else reader.draft.concat(reader.name, values, axis)


@handles("Slice")
def _slice(reader: _Reader, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Value:
    given, value = reader.attributes, _value(x)
    first = list(given["starts"]) if "starts" in given else reader.integers(starts)
    last = list(given["ends"]) if "ends" in given else reader.integers(ends)
    places = reader.axes(axes) or list(range(len(first)))
    if steps is not None and set(reader.integers(steps)) != {1}:
        raise UnsupportedError("it takes every second element, or fewer, or turns an axis round")
    for axis, start, stop in zip(places, first, last, strict=True):
        size = value.sizes[axis]
        start, stop = (max(each + size, 0) if each < 0 else min(each, size) for each in (start, stop))
        value = reader.draft.slice(reader.name, value, axis, start, stop)
    return value


@handles("Split")
def _split(reader: _Reader, x: Any, given: Any = None) -> tuple[Value, ...]:
    value, axis = _value(x), reader.attributes.get("axis", 0) % len(_value(x).axes)
    count = len(reader.node.output)
    if "split" in reader.attributes:
        sizes = list(reader.attributes["split"])
    elif given is not None:
        sizes = reader.integers(given)
    else:
        each = -(-value.sizes[axis] // count)
        sizes = [min(each, value.sizes[axis] - each * place) for place in range(count)]
    parts, start = [], 0
    for place, size in enumerate(sizes):
        parts.append(reader.draft.slice(f"{reader.name}_{place}", value, axis, start, start + size))
        start += size
    return tuple(parts)
