"""Standardisation: xhat = (x - mean) rstd with rstd = 1 / sqrt(var + eps), over some axes of the values themselves.

Layer, group and batch norms are this, and differ in the axes alone.
"""

from __future__ import annotations

from math import prod

from gradcost.formula import Dims
from gradcost.graph import At, rule
from gradcost.layers.norm import ShiftedNorm
from gradcost.numerics import Array, np, runs
from gradcost.units import Shape

Axes = tuple[int, ...]


class Standardised(ShiftedNorm, abstract=True):
    """y = gamma xhat + beta, with xhat standardised over ``axes`` of ``view``.

    Kept for the derivative: xhat and rstd. Symbols besides: R means in each of b samples, or in the batch as a whole; w
    values under each.

    Attributes:
        view: the sample in the shape in which ``axes`` are those of a mean.
        axes: counted with the batch axis, which is 0.
        eps: what keeps the root away from zero.
    """

    pulls_in_place = True

    def __init__(self, shape: Shape, view: Shape, axes: Axes, eps: float) -> None:
        """Take the shape of both ends, the view, the axes and eps."""
        super().__init__((shape,), shape)
        self.view, self.axes, self.eps = view, axes, eps

    def _means(self, batch: int) -> Shape:
        """Return the shape of the means of a batch."""
        return tuple(1 if axis in self.axes else size for axis, size in enumerate((batch, *self.view)))

    def dims(self, batch: int | None, item_bytes: int, out: str, sources: tuple[str, ...]) -> Dims:
        """Return the symbols' values and names; b and R are quiet where they are 1."""
        found = super().dims(batch, item_bytes, out, sources)
        samples, means = self._means(batch or 1)[0], prod(self._means(1))
        names = {} if batch is None or 0 in self.axes else {"b": "B"}
        values = {"b": samples, "R": means, "w": (batch or 1) * prod(self.output) // (samples * means)}
        return found.extended(values, names | ({"R": f"R{out}"} if means > 1 else {}))

    def kept(self, batch: int) -> dict[str, Shape]:
        """Return the shapes of xhat and rstd."""
        return {"xhat": (batch, *self.output), "rstd": self._means(batch)}

    @rule(
        "x",
        "gamma",
        "beta",
        "xhat",
        "rstd",
        products="3*B*N",
        additions="2*(B*N-b*R) + 2*B*N + b*R",
        divisions="3*b*R",
        special="b*R",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill out, xhat and rstd, which holds the mean and the variance in turn; out is room to work in before."""
        rstd, axes = at.rstd, self.axes
        x, xhat, square = (values.reshape(-1, *self.view) for values in (at.x, at.xhat, out))
        n = x.size // rstd.size
        np.add.reduce(x, axis=axes, keepdims=True, out=rstd)
        np.divide(rstd, n, out=rstd)
        np.subtract(x, rstd, out=xhat)
        np.multiply(xhat, xhat, out=square)
        np.add.reduce(square, axis=axes, keepdims=True, out=rstd)
        np.divide(rstd, n, out=rstd)
        np.add(rstd, self.eps, out=rstd)
        np.sqrt(rstd, out=rstd)
        np.divide(1.0, rstd, out=rstd)
        np.multiply(xhat, rstd, out=xhat)
        np.multiply(at.xhat, self.wide(at.gamma), out=out)
        np.add(out, self.wide(at.beta), out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*N*K",
        additions="2*(B*N-b*R)*K + 2*B*N*K",
        divisions="2*b*R*K",
        workspace="i*(B*N + 2*b*R)*K",
    )
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out = gamma rstd (t - mean t - xhat mean(xhat t))."""
        view = (-1, *self.view, t.shape[-1])
        xhat = at.xhat.reshape(-1, *self.view, 1)
        _push(t.reshape(view), xhat, at.rstd[..., None], out.reshape(view), self.axes)
        np.multiply(out, self.wide(at.gamma)[..., None], out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*N*K",
        additions="2*(B*N-b*R)*K + 2*B*N*K",
        divisions="2*b*R*K",
        workspace="i*min(b*R, max(1, run//w))*(w + 2)*K",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents, some means at a time: out = rstd (h - mean h - xhat mean(xhat h)), with h = gamma g.

        ``out`` may be ``g``.
        """
        np.multiply(g, self.wide(at.gamma), out=out)
        means = at.rstd.size
        apart = (at.xhat.shape[0] if 0 in self.axes else 1, means, -1)  # a mean is over the first and the last of these
        xhat, rstd = at.xhat.reshape(apart), at.rstd.reshape(means, 1)
        h = out.reshape(out.shape[0], *apart)
        for some in runs(means, max(1, self.run * means // at.xhat.size)):
            part = h[:, :, some]
            _push(part, xhat[:, some], rstd[some], part, (1, 3))


def _push(t: Array, xhat: Array, rstd: Array, out: Array, axes: Axes) -> None:
    """Fill out = rstd (t - mean t - xhat mean(xhat t)), with means over these axes of t; ``out`` may be ``t``.

    This Jacobian is its own transpose: pulling cotangents is the same.
    """
    part = np.multiply(t, xhat)
    along = _mean(part, axes)
    mean = _mean(t, axes)
    np.multiply(xhat, along, out=part)
    np.subtract(t, part, out=out)
    np.subtract(out, mean, out=out)
    np.multiply(out, rstd, out=out)


def _mean(values: Array, axes: Axes) -> Array:
    total = np.add.reduce(values, axis=axes, keepdims=True)
    np.divide(total, values.size // total.size, out=total)
    return total
