"""Jacobians of MLPs beside XLA's own analyses: flops and temporary bytes of vmap(jacrev) and vmap(jacfwd).

By hand, where JAX is installed. XLA counts a multiply-accumulate as two flops and folds what it can; ours are the
operations of the schedule that gradcost runs. Its bytes are temporaries and results; ours the peak without parameters
and inputs.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp

import gradcost

NETWORKS = {
    "3-64x4-1": (3, 64, 64, 64, 64, 1),
    "50-200-2000": (50, 200, 2000),
    "2000-200-50": (2000, 200, 50),
    "10-128-128-1000": (10, 128, 128, 1000),
    "64-64-64": (64, 64, 64),
    "32-8-2-8-32": (32, 8, 2, 8, 32),
    "5-100-100-5": (5, 100, 100, 5),
    "100-20-20-100": (100, 20, 20, 100),
}
MOST = 4e8  # numbers in a Jacobian


def ours(widths: tuple[int, ...], batch: int, wrt: str) -> dict[str, tuple[int, int]]:
    """Return the flops and the bytes beyond parameters and inputs of jacrev and jacfwd."""
    layers = [{"type": "dense", "units": n, "activation": "tanh"} for n in widths[1:-1]]
    layers.append({"name": "out", "type": "dense", "units": widths[-1]})
    spec = {"dtype": "float32", "batch": batch, "input": {"shape": [widths[0]]}, "layers": layers}
    report = gradcost.analyze(spec, outputs="out", wrt=wrt, strategies=("reverse", "forward_jvp"), measure=False)
    held = 4 * (report.network.parameters + batch * widths[0])
    return {name: (s.predicted.flops, s.predicted.peak_bytes - held) for name, s in report.strategies.items()}


def theirs(widths: tuple[int, ...], batch: int, wrt: str) -> dict[str, tuple[float, int]]:
    """Return what XLA says of the same."""
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    parameters = [(jnp.ones((n, m), jnp.float32), jnp.ones(n, jnp.float32)) for n, m in pairs]
    x = jnp.ones((batch, widths[0]), jnp.float32)

    def network(p: Any, one: Any) -> Any:
        for number, (weights, bias) in enumerate(p):
            one = weights @ one + bias
            one = jnp.tanh(one) if number < len(p) - 1 else one
        return one

    found = {}
    for name, differentiate in (("reverse", jax.jacrev), ("forward_jvp", jax.jacfwd)):
        each = differentiate(network, argnums=0 if wrt == "params" else 1)
        compiled = jax.jit(jax.vmap(each, in_axes=(None, 0))).lower(parameters, x).compile()
        memory = compiled.memory_analysis()
        cost = compiled.cost_analysis()
        found[name] = cost["flops"], memory.temp_size_in_bytes + memory.output_size_in_bytes
    return found


def main() -> None:
    """Print both, and ours over theirs."""
    print(f"{'network':18} {'wrt':6} {'B':>3} {'strategy':12} {'flops':>9} {'ratio':>6}  {'bytes':>10} {'ratio':>6}")
    for (name, widths), wrt, batch in product(NETWORKS.items(), ("inputs", "params"), (1, 8)):
        size = sum(n * m + n for n, m in zip(widths[1:], widths[:-1], strict=True)) if wrt == "params" else widths[0]
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
