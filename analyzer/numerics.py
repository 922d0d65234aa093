"""numpy, imported on first use: a prediction alone never needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
else:
    Array = Any

    class _Numpy:
        """Stands for the module until an attribute is asked for."""

        def __getattr__(self, name: str) -> Any:
            import numpy

            value = getattr(numpy, name)
            setattr(self, name, value)
            return value

    np = _Numpy()


def runs(total: int, size: int) -> Iterator[slice]:
    """Yield the slices that cut an axis of ``total`` entries into runs of ``size``, the last of what is left."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


__all__ = ["Array", "np", "runs"]
