"""What XLA says of the Jacobians of an MLP: its cost analysis and its memory analysis (JAX is needed)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp


def theirs(widths: tuple[int, ...], batch: int, wrt: str) -> dict[str, tuple[float, int]]:
    """Return the flops, and the bytes of temporaries and results, of vmap(jacrev) and vmap(jacfwd)."""
    parameters = [(jnp.ones((n, m), jnp.float32), jnp.ones(n, jnp.float32)) for m, n in pairwise(widths)]
    x = jnp.ones((batch, widths[0]), jnp.float32)

    def network(p: Any, one: Any) -> Any:
        for number, (weights, bias) in enumerate(p):
            one = weights @ one + bias
            one = jnp.tanh(one) if number < len(p) - 1 else one
        return one

    found = {}
    for name, differentiate in (("reverse", jax.jacrev), ("forward_jvp", jax.jacfwd)):
        each = differentiate(network, argnums=0 if wrt == "params" else 1)
        compiled: Any = jax.jit(jax.vmap(each, in_axes=(None, 0))).lower(parameters, x).compile()
        memory = compiled.memory_analysis()
        held = memory.temp_size_in_bytes + memory.output_size_in_bytes
        found[name] = compiled.cost_analysis()["flops"], held
    return found
