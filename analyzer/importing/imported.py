"""What an import returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradcost.errors import UsageError
from gradcost.graph import Graph
from gradcost.importing.axes import Value
from gradcost.importing.draft import Draft
from gradcost.importing.spec_text import spec_of, text_of
from gradcost.layers import LOSSES
from gradcost.network import load
from gradcost.spec import foreign

SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Imported:
    """A network that came from elsewhere.

    Attributes:
        draft: its layers, as they were read.
        loss: of the spec.
        source: where it came from.
    """

    draft: Draft
    loss: str
    source: str

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The spec as a dict, layer by layer: what ``analyze`` and ``load`` take."""
        return spec_of(self.draft, self.loss)

    @cached_property
    def yaml(self) -> str:
        """The same network as a YAML file, with repeated runs of layers as blocks."""
        return text_of(self.draft, self.loss, self.source)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the spec says a little differently."""
        return tuple(self.draft.notes)

    def network(self) -> Graph:
        """Return it built. Raises ``SpecError`` where the layers do not fit, or nothing is trainable."""
        return load(self.spec)


def check_loss(loss: str) -> None:
    """Refuse a loss that no spec has. Raises ``UsageError``."""
    if loss not in LOSSES:
        raise UsageError(f"unknown loss {loss!r}{foreign.instead(loss, foreign.LOSSES, LOSSES)}")


def finished(
    draft: Draft, what: str, source: str, results: Sequence[object], problems: Sequence[str], loss: str
) -> Imported:
    """Return a draft that has been read, ending at the first of its results that is computed from its inputs.

    Raises:
        UsageError: there were operations without a counterpart, which are named, or no result.
    """
    if problems:
        listed = "\n  ".join(problems[:SHOWN_PROBLEMS])
        more = f"\n  and {len(problems) - SHOWN_PROBLEMS:,} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise UsageError(f"{what} has operations without a counterpart in a spec:\n  {listed}{more}")
    computed = [each for each in results if isinstance(each, Value)]
    if not computed:
        raise UsageError(f"{what} returns nothing that it computes from its inputs")
    if len(computed) > 1:
        draft.note("It returns several tensors; the spec ends at the first.")
    draft.end(computed[0])
    return Imported(draft, loss, source)
