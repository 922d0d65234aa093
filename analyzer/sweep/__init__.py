"""Many analyses: a grid of networks, the batch that fits, and how the figures grow."""

from gradcost.sweep.crossover import Flip, crossover, paths
from gradcost.sweep.fit import Fit, fit
from gradcost.sweep.grid import Axis, parse_axis
from gradcost.sweep.growth import Growth, growth
from gradcost.sweep.run import Row, Settings, sweep

__all__ = [
    "Axis",
    "Fit",
    "Flip",
    "Growth",
    "Row",
    "Settings",
    "crossover",
    "fit",
    "growth",
    "parse_axis",
    "paths",
    "sweep",
]
