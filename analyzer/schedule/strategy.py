"""What a strategy declares of itself: its schedule, its options, whether it is exact, and how it is spoken of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.schedule.program import Plan

if TYPE_CHECKING:
    from gradcost.execution.execute import Data, Gradients


@dataclass(frozen=True)
class Option:
    """Something that a strategy can be told. Strategies that share an option share the object.

    Attributes:
        name: as Python has it; on the command line, with dashes.
        type: ``int`` or ``str``.
        help: one sentence, for the command line.
        metavar: how its values are written.
        default: the value where none is given, for a network.
        check: raises ``UsageError`` for a value that makes no sense.
    """

    name: str
    type: type[int] | type[str]
    help: str
    metavar: str | None = None
    default: Callable[[Graph], Any] = lambda graph: None
    check: Callable[[Any], None] = lambda value: None

    def of(self, graph: Graph, options: Options) -> Any:
        """Return the value that is asked for, or the default. Raises ``UsageError`` for one that makes no sense."""
        value = options.values.get(self.name)
        if value is None:
            return self.default(graph)
        if not isinstance(value, self.type) or isinstance(value, bool):
            kind = "a whole number" if self.type is int else "text"
            raise UsageError(f"{self.name} must be {kind}, not {value!r}")
        self.check(value)
        return value


def _at_least_one(value: Any) -> None:
    if value < 1:
        raise UsageError(f"chunk must be a whole number of at least 1, not {value!r}")


CHUNK = Option(
    "chunk",
    int,
    "Rows pulled, or columns pushed, at a time. Default: all for a Jacobian; for a loss, one tangent.",
    default=lambda graph: None if graph.jacobian else 1,
    check=_at_least_one,
)


RANKS = ("multiplies", "peak_bytes")  # what strategies are ranked by


def _a_rank(value: Any) -> None:
    if value not in RANKS:
        raise UsageError(f"by cannot be {value!r}{nearest(str(value), RANKS)}")


BY = Option(
    "by",
    str,
    f"What decides: which order optimal takes, and which strategy wins. Default: {RANKS[0]}.",
    metavar="|".join(RANKS),
    default=lambda graph: RANKS[0],
    check=_a_rank,
)


class Options:
    """What is asked of the strategies of one analysis.

    Attributes:
        values: of the strategies' own options, by name; None, or a name that is missing, stands for the default.
        budget: bytes that may be alive at once, where a strategy can choose.
    """

    def __init__(self, *, budget: int | None = None, **values: Any) -> None:
        """Take the budget, and the options by their names."""
        self.budget = budget
        self.values: Mapping[str, Any] = values


@dataclass(frozen=True)
class Strategy:
    """A way to get the gradient.

    Attributes:
        name: as the command line knows it.
        carries: what it carries, in a few words.
        make: makes its schedule: called with the network, and with its options by name.
        exact: whether its gradient is exact, up to rounding.
        jacobians: whether it also differentiates a whole output, and not a loss alone.
        options: what it can be told.
        chooses: whether it takes a budget, the keyword ``budget`` of ``make``, and chooses by it.
        expects: of an estimate: what it should be, up to rounding, given its schedule, the data and exact gradients;
            None: it is compared with nothing.
        aliases: other names that it is known by.
        carried: of what the numbers are that it carries from layer to layer, as the verdict says it.
        because: why it costs what it does beside another, as the verdict says it; None: the verdict says how much each
            carries at the layer where that is most.
    """

    name: str
    carries: str
    make: Callable[..., Plan]
    exact: bool = True
    jacobians: bool = False
    options: Sequence[Option] = ()
    chooses: bool = False
    expects: Callable[[Plan, Data, Gradients], Gradients] | None = None
    aliases: Sequence[str] = ()
    carried: str = "derivatives"
    because: str | None = None

    def plan(self, graph: Graph, options: Options | None = None) -> Plan:
        """Make its schedule for a network.

        Raises:
            UsageError: an option's value makes no sense.
        """
        options = options or Options()
        given = {option.name: option.of(graph, options) for option in self.options}
        return self.make(graph, **given, **({"budget": options.budget} if self.chooses else {}))

    def applies(self, graph: Graph) -> bool:
        """Whether it can differentiate what a network is asked for."""
        return self.jacobians or not graph.jacobian
