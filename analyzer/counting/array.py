"""An array that counts what numpy does with it, over numpy's own dispatch protocols (NEP 13 and NEP 18).

Conventions: a multiply-accumulate of (m,k)@(k,n) is mnk multiplies and mn(k-1) additions; subtractions and sign
changes are additions; maxima and absolute values are comparisons; a reduction of s elements to r is s-r
operations, a scatter (ufunc.at) one for each value; allocation, copies, lookups and views are no arithmetic.
Whatever is in none of the tables is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcost.counting.meter import Buffer, Meter
from gradcost.errors import UncountedOperationError

ELEMENTWISE = {
    "matmul": "macs",  # and multiplies and additions
    "add": "additions",
    "subtract": "additions",
    "negative": "additions",
    "multiply": "multiplies",
    "divide": "divisions",
    "exp": "special",
    "expm1": "special",
    "log": "special",
    "log1p": "special",
    "tanh": "special",
    "sqrt": "special",
    "erf (vectorized)": "special",
    "maximum": "comparisons",
    "minimum": "comparisons",
    "greater": "comparisons",
    "less": "comparisons",
    "equal": "comparisons",
    "absolute": "comparisons",
}
REDUCTIONS = {"add": "additions", "maximum": "comparisons"}
SCATTERS = {"add"}
ALLOCATIONS = {"arange", "empty_like", "zeros_like", "take", "take_along_axis"}
VIEWS = {"broadcast_to"}
MOVES = {"copyto", "put_along_axis"}
UNDERSTOOD = {"out", "axis", "keepdims", "casting"}


class CountingArray(NDArrayOperatorsMixin):
    """A numpy array whose operations are counted and whose buffer is tracked; values are numpy's, bit for bit.

    Args:
        data: the values; the array does not copy them.
        meter: where operations and bytes are added.
        buffer: the allocation that ``data`` views; None: its own, new to the meter.
    """

    __slots__ = ("_buffer", "data", "meter")

    def __init__(self, data: np.ndarray[Any, Any], meter: Meter, buffer: Buffer | None = None) -> None:
        """Wrap the values."""
        self.data = data
        self.meter = meter
        self._buffer = buffer or Buffer(meter, data.nbytes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return tuple(self.data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def T(self) -> CountingArray:
        """The view with reversed axes."""
        return self._view(self.data.T)

    def reshape(self, *shape: Any) -> CountingArray:
        """Return a reshaped view, or a tracked copy where numpy has to make one."""
        return self._view(self.data.reshape(*shape))

    def transpose(self, *axes: Any) -> CountingArray:
        """Return the view with permuted axes."""
        return self._view(self.data.transpose(*axes))

    def __getitem__(self, key: Any) -> CountingArray:
        """Return the view that basic indexing selects, or a tracked copy."""
        return self._view(self.data[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write values: a move, no arithmetic."""
        self.data[key] = self._unwrap(value)

    def __array__(self, *args: object, **kwargs: object) -> Any:
        """Refuse to become a plain array: what happened to that would go uncounted."""
        raise UncountedOperationError("a counting array was converted to a plain array, which nothing counts")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Run a ufunc on the plain values and count it by its operands."""
        if not kwargs.keys() <= UNDERSTOOD:
            unknown = ", ".join(sorted(kwargs.keys() - UNDERSTOOD))
            raise UncountedOperationError(f"numpy.{ufunc.__name__} with {unknown} has no counting rule")
        category = _category(ufunc.__name__, method)
        operands = [self._unwrap(operand) for operand in inputs]
        target = kwargs.pop("out", (None,))[0]
        if target is not None:
            kwargs["out"] = self._unwrap(target)
        result = getattr(ufunc, method)(*operands, **kwargs)
        row = self.meter.row
        if method == "at":  # a scatter: it writes into its first operand and returns nothing
            row[category] += operands[2].size
            return None
        size = result.size
        if category == "macs":
            inner = operands[0].shape[-1]
            row["macs"] += size * inner
            row["multiplies"] += size * inner
            row["additions"] += size * (inner - 1)
        else:
            row[category] += size if method == "__call__" else operands[0].size - size
        return target if target is not None else CountingArray(np.asarray(result), self.meter)

    def __array_function__(self, func: Any, types: object, args: Any, kwargs: Any) -> Any:
        """Run an allocation, a view or a move; there is no arithmetic among them."""
        name = func.__name__
        if name not in ALLOCATIONS | VIEWS | MOVES or getattr(np, name) is not func:
            raise UncountedOperationError(f"numpy.{name} has no counting rule")
        result = func(*(self._unwrap(arg) for arg in args), **{k: self._unwrap(v) for k, v in kwargs.items()})
        if name in MOVES:
            return None
        if kwargs.get("out") is not None:
            return kwargs["out"]
        return CountingArray(result, self.meter) if name in ALLOCATIONS else args[0]._view(result)

    def _view(self, result: np.ndarray[Any, Any]) -> CountingArray:
        shared = np.may_share_memory(result, self.data)
        return CountingArray(result, self.meter, self._buffer if shared else None)

    def _unwrap(self, operand: Any) -> Any:
        if isinstance(operand, CountingArray):
            return operand.data
        if isinstance(operand, tuple):
            return tuple(map(self._unwrap, operand))
        if isinstance(operand, np.ndarray):
            raise UncountedOperationError("a plain array met a counting array; its buffer is in no count")
        return operand


def _category(name: str, method: str) -> str:
    """Return what a ufunc counts as, or refuse it."""
    if method == "__call__" and name in ELEMENTWISE:
        return ELEMENTWISE[name]
    if (method == "reduce" and name in REDUCTIONS) or (method == "at" and name in SCATTERS):
        return REDUCTIONS[name]
    raise UncountedOperationError(f"numpy.{name}{'' if method == '__call__' else '.' + method} has no counting rule")
