"""gradcost: what forward-accumulated da/dW costs against backpropagated delta.

``gradcost.analyze("net.yaml")`` predicts every tensor size, operation count and peak memory of each strategy in closed
form, measures the same figures on a real numpy run, and returns both as a ``Report``.

Every name is imported when it is asked for (PEP 562): ``import gradcost`` loads neither numpy nor rich.
"""

from __future__ import annotations

from gradcost.version import __version__

TYPE_CHECKING = False  # as typing has it, which takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

    from gradcost.errors import BudgetError, GradcostError, SpecError, UncountedOperationError, UsageError
    from gradcost.execution.trace import trace
    from gradcost.export.page import to_html
    from gradcost.export.text import to_csv, to_markdown
    from gradcost.graph import Graph as Network
    from gradcost.grids import Axis, crossover, fit, sweep
    from gradcost.importing import from_onnx, from_torch
    from gradcost.network import load
    from gradcost.report.analyze import Analysis, analyze, study
    from gradcost.report.model import Report
    from gradcost.report.schema import REPORT_SCHEMA
    from gradcost.report.training import inference_memory, training_memory
    from gradcost.schedule.strategy import Option, Strategy
    from gradcost.spec.training import Training
    from gradcost.strategies import STRATEGIES

# Where each public name is defined.
_HOMES = {
    "errors": ("BudgetError", "GradcostError", "SpecError", "UncountedOperationError", "UsageError"),
    "execution.trace": ("trace",),
    "export.page": ("to_html",),
    "export.text": ("to_csv", "to_markdown"),
    "graph": ("Network",),
    "grids": ("Axis", "crossover", "fit", "sweep"),
    "importing": ("from_onnx", "from_torch"),
    "network": ("load",),
    "report.analyze": ("Analysis", "analyze", "study"),
    "report.model": ("Report",),
    "report.schema": ("REPORT_SCHEMA",),
    "report.training": ("inference_memory", "training_memory"),
    "schedule.strategy": ("Option", "Strategy"),
    "spec.training": ("Training",),
    "strategies": ("STRATEGIES",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_OTHERWISE = {"Network": "Graph"}  # names that differ from those where they are defined

__all__ = [
    "REPORT_SCHEMA",
    "STRATEGIES",
    "Analysis",
    "Axis",
    "BudgetError",
    "GradcostError",
    "Network",
    "Option",
    "Report",
    "SpecError",
    "Strategy",
    "Training",
    "UncountedOperationError",
    "UsageError",
    "__version__",
    "analyze",
    "crossover",
    "fit",
    "from_onnx",
    "from_torch",
    "inference_memory",
    "load",
    "study",
    "sweep",
    "to_csv",
    "to_html",
    "to_markdown",
    "trace",
    "training_memory",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it is defined."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), _OTHERWISE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*__all__, *globals()})
