"""What an import returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradcost.graph import Graph
from gradcost.importing.draft import Draft
from gradcost.importing.spec_text import spec_of, text_of
from gradcost.report import load


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
