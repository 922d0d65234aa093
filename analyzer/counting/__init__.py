"""Instrumented numpy: what really ran, counted from its operands, and the buffers that were really alive."""

from gradcost.counting.array import CountingArray
from gradcost.counting.meter import Meter

__all__ = ["CountingArray", "Meter"]
