"""The rules of a convolution against its three matrix products by numpy on columns that are there, one thread each.

Also what decides the time of both: the architecture that OpenBLAS chose; and with the extra `torch`, PyTorch's blocks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from math import prod
from pathlib import Path

from timing import best_seconds, say

import gradcost
from gradcost.graph import At
from gradcost.layers.conv import Conv2d
from gradcost.numerics import Array, np

LIMIT = 1.25
CASES = [  # input, filters, kernel, stride, batch: of resnet18, vgg16, mobilenet_v2
    ((64, 56, 56), 64, 3, 1, 4),
    ((64, 56, 56), 128, 3, 2, 4),
    ((128, 28, 28), 128, 3, 1, 4),
    ((256, 14, 14), 256, 3, 1, 4),
    ((512, 7, 7), 512, 3, 1, 4),
    ((64, 224, 224), 64, 3, 1, 1),
    ((96, 56, 56), 24, 1, 1, 4),
    ((160, 7, 7), 960, 1, 1, 4),
]


def openblas() -> str:
    """Return the architecture whose kernels numpy's OpenBLAS has chosen, and on how many threads."""
    for path in (Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))
        corename, threads = library.scipy_openblas_get_corename64_, library.scipy_openblas_get_num_threads64_
        corename.restype = ctypes.c_char_p
        return f"OpenBLAS for {corename().decode()}, threads: {threads()}"
    return "no OpenBLAS that came with numpy"


def rivals(
    shape: tuple[int, int, int], filters: int, kernel: int, stride: int, batch: int
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the three rules of one layer, and its three products: of the output, and of both gradients."""
    options = {"filters": filters, "kernel": kernel, "stride": stride, "padding": kernel // 2, "bias": False}
    layers = [{"type": "conv2d", **options}]
    network = gradcost.load({"batch": batch, "input": {"shape": list(shape)}, "layers": layers, "loss": "none"})
    layer = network.output.op
    assert isinstance(layer, Conv2d)
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Array:
        return rng.standard_normal(shape, np.float32)

    x, W, g = drawn(batch, *shape), drawn(*layer.parameters["W"]), drawn(1, batch, *layer.output)
    at, y, dx, dW = At({"x": x, "W": W}), np.empty_like(g[0]), np.empty_like(x[None]), np.empty_like(W[None])

    def rules() -> None:
        layer.primal(at, y)
        layer.vjp_W(at, g, dW)
        layer.vjp(at, g, dx)

    s = prod(layer.output[1:])
    weights, columns = W.reshape(filters, -1), drawn(batch, W[0].size, s)
    outputs, out, back = g.reshape(batch, filters, s), np.empty((batch, filters, s), np.float32), np.empty_like(columns)
    each = np.empty((batch, *weights.shape), np.float32)

    def products() -> None:
        np.matmul(weights, columns, out=out)
        np.matmul(outputs, columns.transpose(0, 2, 1), out=each)
        np.matmul(weights.T, outputs, out=back)

    return rules, products


def main() -> None:
    """Print a ratio for each case, what OpenBLAS chose, and the ratio to PyTorch."""
    print(openblas())
    for case in CASES:
        shape, filters, kernel, stride, batch = case
        ours, theirs = best_seconds(*rivals(*case), rounds=10)
        size = "x".join(map(str, shape))
        say(f"{batch} x {size} to {filters}, {kernel}x{kernel} by {stride}, against its products", ours, theirs, LIMIT)
    if find_spec("torch") is not None:
        from blocks import main as blocks

        blocks()


if __name__ == "__main__":
    main()
