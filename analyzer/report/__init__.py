"""The report: an analysis as plain data, its figures, tables, verdict, checks and schema."""

from gradcost.report.analyze import Analysis, analyze, study
from gradcost.report.model import Report
from gradcost.report.training import TrainingMemory, inference_memory, training_memory

__all__ = ["Analysis", "Report", "TrainingMemory", "analyze", "inference_memory", "study", "training_memory"]
