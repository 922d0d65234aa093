"""Tables of what reads each operation of a framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gradcost.importing.axes import UnsupportedError, Value

Handler: TypeAlias = Callable[..., Any]


class Handlers(dict[str, Handler]):
    """Handlers by the names of their operations."""

    def handles(self, *names: str) -> Callable[[Handler], Handler]:
        """Register what reads the operations of these names."""

        def register(handler: Handler) -> Handler:
            self.update(dict.fromkeys(names, handler))
            return handler

        return register


def as_value(each: Any) -> Value:
    """Return what an operation reads, if the network computes it. Raises ``UnsupportedError`` for anything else."""
    if not isinstance(each, Value):
        raise UnsupportedError("it computes with a constant or a parameter in a way that no layer does")
    return each
