"""The report for others to read: an HTML page, plots, Markdown, CSV."""

from gradcost.export.figures import GrowthFigure, MemoryFigure, growth_axes, growth_figures, memory_figure
from gradcost.export.page import to_html
from gradcost.export.text import to_csv, to_markdown

__all__ = [
    "GrowthFigure",
    "MemoryFigure",
    "growth_axes",
    "growth_figures",
    "memory_figure",
    "to_csv",
    "to_html",
    "to_markdown",
]
