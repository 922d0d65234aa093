"""The report: analysis as typed, frozen objects, their JSON, and its schema."""

from gradcost.network import load
from gradcost.report.analyze import analyze
from gradcost.report.model import (
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
)
from gradcost.report.schema import REPORT_SCHEMA
from gradcost.report.training import Training, TrainingMemory, training_memory

__all__ = [
    "REPORT_SCHEMA",
    "Comparison",
    "LayerCost",
    "Measured",
    "Mismatch",
    "NetworkReport",
    "Predicted",
    "Report",
    "StrategyReport",
    "Target",
    "Tensor",
    "Training",
    "TrainingMemory",
    "analyze",
    "load",
    "training_memory",
]
