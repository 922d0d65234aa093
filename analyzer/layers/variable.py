"""An input as a variable: what stands for the inputs where derivatives with respect to them are asked for."""

from __future__ import annotations

from gradcost.graph import At, Draws, Source, rule
from gradcost.numerics import Array, np
from gradcost.units import Shape


class Variable(Source):
    """y[b] = X[b], where the whole batch X (B, \\*shape) is a parameter: each entry is a variable of its own."""

    makes_batch = True
    parameter_names = ("X",)

    def __init__(self, shape: Shape, batch: int) -> None:
        """Take the per-sample shape and the batch."""
        super().__init__((), shape)
        self.parameters = {"X": (batch, *shape)}

    def birth_axes(self, name: str) -> tuple[int, int]:
        """Return all axes: each entry sees itself alone."""
        return 0, len(self.output)

    def birth_order(self, name: str) -> tuple[Shape, tuple[int, ...]]:
        """Return the samples last: an entry's columns are those of that entry in every sample."""
        shape = self.parameters[name]
        return shape, (*range(1, len(shape)), 0)

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw normal values, as for other inputs."""
        return draws.normal(self.parameters[name])

    @rule("X")
    def primal(self, at: At, out: Array) -> None:
        np.copyto(out, at.X)

    @rule()
    def vjp_X(self, at: At, g: Array, out: Array) -> None:
        """Copy the cotangents."""
        np.copyto(out, g)

    @rule(additions="B*N*K")
    def jvp_X(self, at: At, v: Array, out: Array) -> None:
        """Add the tangents."""
        np.add(out, v.transpose(*range(1, len(out.shape)), 0), out=out)

    @rule("one")
    def fill_birth_X(self, at: At, out: Array) -> None:
        """Fill dy[b]/dX[b'] = [b == b'], the same for each entry."""
        out[...] = 0.0
        for sample in range(out.shape[0]):
            out[sample, ..., sample] = at.one


class SampleVariable(Source):
    """y[b] = X[b], where each sample's derivatives are by its own X[b] alone: the same identity for all of them.

    Tangents start with unit vectors as its value's, and cotangents of its value are the gradients: it owes no rule for
    either, and its X is not among the names of parameters that have them.
    """

    makes_batch = True

    def __init__(self, shape: Shape, batch: int) -> None:
        """Take the per-sample shape and the batch."""
        super().__init__((), shape)
        self.parameters = {"X": (batch, *shape)}

    def gradient_shape(self, name: str) -> Shape:
        """Return the shape of a sample."""
        return self.output

    def birth_axes(self, name: str) -> tuple[int, int]:
        """Return all axes: each entry sees itself alone."""
        return 0, len(self.output)

    def birth_order(self, name: str) -> tuple[Shape, tuple[int, ...]]:
        """Return the order of a sample's entries."""
        return self.output, tuple(range(len(self.output)))

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw normal values, as for other inputs."""
        return draws.normal(self.parameters[name])

    @rule("X")
    def primal(self, at: At, out: Array) -> None:
        np.copyto(out, at.X)

    @rule("one")
    def birth_X(self, at: At, shape: Shape) -> Array:
        """Return dy[b]/dX[b] = 1 on the diagonal."""
        return np.broadcast_to(at.one, shape)
