"""gradcost: what forward-accumulated da/dW costs against backpropagated delta.

``gradcost.analyze("net.yaml")`` predicts every tensor size, operation count and peak memory of each strategy in closed
form, measures the same figures on a real numpy run, and returns both as a ``Report``.
"""

from typing import TYPE_CHECKING, Any

from gradcost.errors import BudgetError, GradcostError, SpecError, UncountedOperationError, UsageError
from gradcost.graph import Graph as Network
from gradcost.report import (
    REPORT_SCHEMA,
    Comparison,
    LayerCost,
    Measured,
    Mismatch,
    NetworkReport,
    Predicted,
    Report,
    StrategyReport,
    Target,
    Tensor,
    Training,
    TrainingMemory,
    analyze,
    load,
    training_memory,
)
from gradcost.version import __version__

if TYPE_CHECKING:
    from gradcost.importing import from_onnx, from_torch

__all__ = [
    "REPORT_SCHEMA",
    "BudgetError",
    "Comparison",
    "GradcostError",
    "LayerCost",
    "Measured",
    "Mismatch",
    "Network",
    "NetworkReport",
    "Predicted",
    "Report",
    "SpecError",
    "StrategyReport",
    "Target",
    "Tensor",
    "Training",
    "TrainingMemory",
    "UncountedOperationError",
    "UsageError",
    "__version__",
    "analyze",
    "from_onnx",
    "from_torch",
    "load",
    "training_memory",
]


def __getattr__(name: str) -> Any:
    """Load what imports models when it is asked for: most analyses have no need of it."""
    if name in ("from_onnx", "from_torch"):
        from gradcost import importing

        return getattr(importing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
