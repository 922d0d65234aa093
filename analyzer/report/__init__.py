"""The report: an analysis as plain data, its figures, tables, verdict, checks and schema."""

from gradcost.report.analyze import Analysis, analyze, study
from gradcost.report.model import Report
from gradcost.report.training import Training, TrainingMemory, training_memory

__all__ = ["Analysis", "Report", "Training", "TrainingMemory", "analyze", "study", "training_memory"]
