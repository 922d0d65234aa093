"""The meter: running totals of operations and of live buffer bytes."""

from __future__ import annotations

from collections.abc import Hashable

from gradcost.formula import CATEGORIES, Counts


class Meter:
    """Totals for one measured run, kept by row.

    Attributes:
        row: the totals of the row that is being counted now, by category.
        live: bytes of the array buffers that exist now.
        peak: the largest ``live`` so far.
        traced_peak: what tracemalloc saw meanwhile, where somebody asked it.
    """

    __slots__ = ("_rows", "live", "peak", "row", "traced_peak")

    def __init__(self) -> None:
        """Start at zero, in a row of no name."""
        self._rows: dict[Hashable, dict[str, int]] = {}
        self.live = 0
        self.peak = 0
        self.traced_peak = 0
        self.enter(None)

    def enter(self, row: Hashable) -> None:
        """Count into ``row`` from now on."""
        found = self._rows.get(row)
        if found is None:
            found = self._rows[row] = dict.fromkeys(CATEGORIES, 0)
        self.row = found

    @property
    def rows(self) -> dict[Hashable, Counts]:
        """The operations by row."""
        return {row: Counts(**totals) for row, totals in self._rows.items()}

    @property
    def counts(self) -> Counts:
        """All operations so far."""
        return sum(self.rows.values(), Counts())


class Buffer:
    """One allocation; every array that views it holds it, and its bytes leave the meter with the last of them."""

    __slots__ = ("_meter", "_nbytes")

    def __init__(self, meter: Meter, nbytes: int) -> None:
        """Add the bytes to the meter."""
        self._meter = meter
        self._nbytes = nbytes
        meter.live += nbytes
        if meter.live > meter.peak:
            meter.peak = meter.live

    def __del__(self) -> None:
        """Take the bytes off the meter."""
        self._meter.live -= self._nbytes
