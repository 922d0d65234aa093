"""The figures: each is declared here once, and every table, format and schema iterates over the declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradcost.formula import CATEGORIES
from gradcost.report.plain import an_object
from gradcost.schedule.strategy import RANKS
from gradcost.units import format_bytes, format_seconds, format_short


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a strategy.

    Attributes:
        key: its name in Python and JSON.
        label: the head of its column.
        show: how a table writes it.
        about: what it is, in a sentence.
        predicted: whether closed forms state it; then ``diff`` fails where it grows.
        measured: whether a run shows it.
        whole: whether it is a whole number, of which there may be any size.
        drop: where its column stands in the order in which a narrow table drops columns, the largest first; 0: never;
            None: the table of strategies has none.
        factor: the same for the column of its factor of the baseline; None: there is none.
        optional: whether a run may leave it out.
        title: what a plot of it is called; empty: its label.
    """

    key: str
    label: str
    show: Callable[[Any], str]
    about: str
    predicted: bool = True
    measured: bool = True
    whole: bool = True
    drop: int | None = None
    factor: int | None = None
    optional: bool = False
    title: str = ""

    @property
    def heading(self) -> str:
        """Its title, as it stands above a plot."""
        return (self.title or self.label).capitalize()

    @property
    def binary(self) -> bool:
        """Whether it is a number of bytes, which an axis marks at powers of two."""
        return self.show is format_bytes


def _error(value: float) -> str:
    return f"{value:.1e}"


FIGURES = (
    Figure("multiplies", "multiplies", format_short, "scalar multiplications", drop=0, factor=1),
    Figure("macs", "MACs", format_short, "multiplications inside contractions", drop=3, factor=5),
    Figure("additions", "additions", format_short, "additions, subtractions and sign changes"),
    Figure("divisions", "divisions", format_short, "divisions"),
    Figure("special", "special", format_short, "exp, log, tanh, sqrt, erf and the like"),
    Figure("comparisons", "comparisons", format_short, "comparisons, maxima, minima and absolute values"),
    Figure("flops", "flops", format_short, "all operations, MACs counted once"),
    Figure(
        "peak_bytes",
        "peak",
        format_bytes,
        "the largest total of live arrays, in bytes",
        drop=0,
        factor=1,
        title="peak memory",
    ),
    Figure(
        "seconds",
        "time",
        format_seconds,
        "wall time on plain numpy arrays",
        predicted=False,
        whole=False,
        drop=4,
    ),
    Figure(
        "gradient_max_relative_error",
        "gradient error",
        _error,
        "the largest difference from another exact strategy's gradients, as a share of the tensor's largest entry; "
        "none where no other was measured, or a gradient is not finite",
        predicted=False,
        whole=False,
        drop=6,
        optional=True,
    ),
    Figure(
        "tracemalloc_peak_bytes",
        "tracemalloc",
        format_bytes,
        "what Python's allocator saw at the peak, interpreter objects included",
        predicted=False,
        drop=7,
    ),
)
BY_KEY: Mapping[str, Figure] = {figure.key: figure for figure in FIGURES}
PREDICTED = tuple(figure for figure in FIGURES if figure.predicted)
MEASURED = tuple(figure for figure in FIGURES if figure.measured)
COUNTS = tuple(BY_KEY[key] for key in (*CATEGORIES, "flops"))
RANKING = tuple(BY_KEY[key] for key in RANKS)  # what strategies are ranked by, and plots show the growth of


class Figures(Mapping[str, Any]):
    """Figures by key, as attributes too: ``predicted.multiplies``. Exact integers, and floats that are finite."""

    declared: tuple[Figure, ...] = FIGURES

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take a value for each figure that is declared, and no others."""
        self._values = {figure.key: values[figure.key] for figure in self.declared}

    def __getitem__(self, key: str) -> Any:
        """Return a figure by its key."""
        return self._values[key]

    def __getattr__(self, key: str) -> Any:
        """Return a figure by its key."""
        try:
            return self.__dict__["_values"][key]
        except KeyError:
            raise AttributeError(f"there is no figure {key!r}") from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how many figures there are."""
        return len(self._values)

    def __hash__(self) -> int:
        """Hash the values."""
        return hash(tuple(self._values.values()))

    def __repr__(self) -> str:
        """Write the figures as tables show them."""
        shown = (f"{figure.label} {figure.show(self[figure.key])}" for figure in self.declared if self[figure.key])
        return f"{type(self).__name__}({', '.join(shown)})"

    def to_plain(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dict(self._values)

    @classmethod
    def from_plain(cls, values: Any) -> Figures:
        """Return figures from their JSON form. Raises ``KeyError`` or ``TypeError`` for what is none."""
        for figure in cls.declared:
            value = values[figure.key]
            numbers = int if figure.whole else (int, float)
            if not (isinstance(value, numbers) and not isinstance(value, bool)) and not (
                value is None and figure.optional
            ):
                raise TypeError(f"{figure.key} {value!r} is no number")
        return cls(values)

    @classmethod
    def plain_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema."""
        return an_object({figure.key: _schema(figure) for figure in cls.declared})


class Predicted(Figures):
    """What closed forms state of a strategy."""

    declared = PREDICTED


class Measured(Figures):
    """What a run of a strategy showed."""

    declared = MEASURED


class Operations(Figures):
    """Operations by category, of a part of a strategy."""

    declared = COUNTS


def _schema(figure: Figure) -> dict[str, Any]:
    number = {"type": "integer" if figure.whole else "number", "minimum": 0, "description": figure.about}
    return {"anyOf": [number, {"type": "null"}]} if figure.optional else number
