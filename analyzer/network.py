"""load: a network from wherever its spec comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradcost.graph import Graph, build_graph
from gradcost.layers import LAYER_TYPES, LOSSES, VARIABLES
from gradcost.spec import read_spec


def load(
    source: str | Path | Mapping[str, Any] | Graph,
    *,
    batch: int | None = None,
    dtype: str | None = None,
    wrt: str | None = None,
    outputs: str | None = None,
    across_batch: bool | None = None,
) -> Graph:
    """Build a network, with what is given in its place.

    Args:
        source: a YAML file, or ``-`` for standard input; the name of a network that comes along, where no
            file has it; a dict of the same form; or another network.
        batch: instead of the spec's.
        dtype: instead of the spec's.
        wrt: what is differentiated by: ``params``, ``inputs``, or the name of a layer, block or input.
        outputs: what is differentiated: ``loss``, or the name of a layer, for the Jacobian of its output, one for each
            sample.
        across_batch: True asks for the one Jacobian of the whole batch instead.

    Raises:
        SpecError: the spec cannot be used; the message names the place and the mend.
        UsageError: what ``wrt`` or ``outputs`` names is not there.
    """
    given = {"batch": batch, "dtype": dtype, "wrt": wrt, "outputs": outputs, "across_batch": across_batch}
    if isinstance(source, Graph) and all(value is None for value in given.values()):
        return source
    spec = source.spec if isinstance(source, Graph) else read_spec(source)
    changed = spec.overridden(batch=batch, dtype=dtype, wrt=wrt, outputs=outputs, across_batch=across_batch)
    return build_graph(changed, LAYER_TYPES, LOSSES, VARIABLES)


def stored_in(network: Graph, dtype: str) -> Graph:
    """Return the network with its numbers in any dtype of ``ITEM_BYTES``: to be priced, where numpy has none such."""
    return build_graph(replace(network.spec, dtype=dtype), LAYER_TYPES, LOSSES, VARIABLES)
