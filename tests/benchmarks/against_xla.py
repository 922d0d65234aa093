"""Jacobians of MLPs beside XLA's own analyses: flops and temporary bytes of vmap(jacrev) and vmap(jacfwd).

By hand, where JAX is installed. XLA counts a multiply-accumulate as two flops and folds what it can; ours are the
operations of the schedule that gradcost runs. Its bytes are temporaries and results; ours the peak without parameters
and inputs.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from mlps import NETWORKS, columns, ours
from xla import theirs

MOST = 4e8  # numbers in a Jacobian


def main() -> None:
    """Print both, and ours over theirs."""
    print(f"{'network':18} {'wrt':6} {'B':>3} {'strategy':12} {'flops':>9} {'ratio':>6}  {'bytes':>10} {'ratio':>6}")
    for (name, widths), wrt, batch in product(NETWORKS.items(), ("inputs", "params"), (1, 8)):
        size = columns(widths, wrt)
        if batch * widths[-1] * size * (size if wrt == "params" else 1) > MOST:
            continue
        mine, other = ours(widths, batch, wrt), theirs(widths, batch, wrt)
        for strategy in mine:
            (flops, peak), (xla_flops, xla_bytes) = mine[strategy], other[strategy]
            print(
                f"{name:18} {wrt:6} {batch:3} {strategy:12} {flops:9.3g} {flops / xla_flops:6.2f}  "
                f"{peak:10,} {peak / max(xla_bytes, 1):6.2f}"
            )


if __name__ == "__main__":
    main()
