"""Many analyses: a grid of networks, the batch that fits, and how the figures grow."""

from gradcost.grids.crossover import Flip, crossover, paths
from gradcost.grids.fit import Fit, fit
from gradcost.grids.grid import Axis, parse_axis
from gradcost.grids.growth import Growth, growth
from gradcost.grids.run import Row, Settings, sweep

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
