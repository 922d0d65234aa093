"""The meter: running totals of operations and of live buffer bytes."""

from __future__ import annotations

from gradcost.formula import CATEGORIES, Counts


class Meter:
    """Totals for one measured run.

    Attributes:
        live: bytes of the array buffers that exist now.
        peak: the largest ``live`` since the last ``restart_peak``.
    """

    __slots__ = ("_totals", "live", "peak")

    def __init__(self) -> None:
        """Start at zero."""
        self._totals = dict.fromkeys(CATEGORIES, 0)
        self.live = 0
        self.peak = 0

    def count(self, category: str, number: int) -> None:
        """Add operations to a category."""
        self._totals[category] += number

    @property
    def counts(self) -> Counts:
        """The operations so far."""
        return Counts(**self._totals)

    def restart_peak(self) -> None:
        """Let ``peak`` start again from what is live now."""
        self.peak = self.live


class Buffer:
    """One allocation; every array that views it holds it, and its bytes leave the meter with the last of them."""

    __slots__ = ("_meter", "_nbytes")

    def __init__(self, meter: Meter, nbytes: int) -> None:
        """Add the bytes to the meter."""
        self._meter = meter
        self._nbytes = nbytes
        meter.live += nbytes
        meter.peak = max(meter.peak, meter.live)

    def __del__(self) -> None:
        """Take the bytes off the meter."""
        self._meter.live -= self._nbytes
