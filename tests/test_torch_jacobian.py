"""Jacobians of MLPs against PyTorch's memory (where it is installed), at one, seven and all rows or columns at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from mlps import FACTOR, ITEM, NETWORKS, explained, ours, result, weight

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

pytestmark = [  # torch.func's own, of torch.jit, whose kind differs between releases
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Alive(TorchDispatchMode):  # type: ignore[misc,unused-ignore]
    """Counts the bytes of the storages that operations make, until they are gone."""

    def __init__(self, known: list[Any]) -> None:
        super().__init__()
        self.sizes = {tensor.untyped_storage()._cdata: 0 for tensor in known}
        self.live = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor.untyped_storage())
        return made

    def add(self, storage: Any) -> None:
        if storage._cdata not in self.sizes:
            self.sizes[storage._cdata] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self.drop, storage._cdata)

    def drop(self, key: int) -> None:
        self.live -= self.sizes.pop(key)


def theirs(widths: tuple[int, ...], batch: int, chunk: int | None) -> dict[str, int]:
    """Return the peaks of vmap(jacrev) and vmap(jacfwd); jacfwd's columns in chunks by vmap, as it takes no chunk."""
    weights = [torch.ones(n, m) for m, n in pairwise(widths)]
    biases = [torch.ones(n) for n in widths[1:]]
    x = torch.ones(batch, widths[0])

    def network(one: Any) -> Any:
        for number, (W, b) in enumerate(zip(weights, biases, strict=True)):
            one = W @ one + b
            one = torch.tanh(one) if number < len(weights) - 1 else one
        return one

    def pushed(one: Any) -> Any:
        push = torch.func.vmap(lambda t: torch.func.jvp(network, (one,), (t,))[1], chunk_size=chunk, out_dims=-1)
        return push(torch.eye(widths[0]))

    jacfwd: Callable[[Any], Any] = torch.func.jacfwd(network) if chunk is None else pushed
    found = {}
    for name, each in (("reverse", torch.func.jacrev(network, chunk_size=chunk)), ("forward_jvp", jacfwd)):
        with Alive([*weights, *biases, x]) as alive:
            jacobian = torch.func.vmap(each)(x)
        assert jacobian.shape == (batch, widths[-1], widths[0])
        found[name] = alive.peak
    return found


def besides(widths: tuple[int, ...], batch: int, strategy: str, chunk: int | None) -> dict[str, int]:
    """Return what PyTorch holds, and ours does not."""
    whole = result(widths, batch, "inputs")
    if strategy == "reverse":
        if chunk is None:
            return {"unit cotangents, of each sample": ITEM * batch * widths[-1] ** 2}
        return {"the rows of all chunks, before they are put together": whole}
    held = {"the columns, before they are put together": whole, "a weight matrix": weight(widths)}
    if chunk is not None:
        return {**held, "all unit tangents": ITEM * widths[0] ** 2}
    moved = {"the result, before its axes are moved": whole}
    return {**held, **moved, "unit tangents, of each sample": ITEM * batch * widths[0] ** 2}


CASES = [
    (name, batch, chunk)
    for name, widths in NETWORKS.items()
    for batch in (1, 8)
    for chunk in (1, 7, None)
    if chunk is None or max(widths[0], widths[-1]) <= 100 * chunk  # a loop of PyTorch's takes its time
]


@pytest.mark.parametrize(("name", "batch", "chunk"), CASES)
def test_peaks(name: str, batch: int, chunk: int | None) -> None:
    """Never more than theirs; alike within 1.5 with the buffers that have a name."""
    widths = NETWORKS[name]
    mine, other = ours(widths, batch, "inputs", chunk), theirs(widths, batch, chunk)
    for strategy, (_, peak) in mine.items():
        assert peak <= other[strategy] * FACTOR
        held = besides(widths, batch, strategy, chunk)
        assert explained(peak, other[strategy], held) is not None, (strategy, peak, other, held)
