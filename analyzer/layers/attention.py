"""Multi-head attention (Vaswani et al. 2017), as a few operations: self and cross, causal, grouped-query."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from gradcost.graph import At, Builder, Draws, Join, LayerType, Node, rule
from gradcost.layers.dense import Dense
from gradcost.layers.moves import Permute
from gradcost.layers.scale import Scale
from gradcost.layers.softmax import Softmax, softmax
from gradcost.layers.views import Reshape
from gradcost.numerics import Array, np
from gradcost.spec.fields import Bool, Float, Int
from gradcost.units import MASK, Shape


class CausalSoftmax(Softmax):
    """Softmax over what is not ahead: row i of x (.., rows, n) sees column j if j <= i mod n."""

    dtypes = {"mask": MASK}

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends."""
        super().__init__(shape)
        self.statistics = {"mask": shape[-2:]}

    def constant(self, name: str, shape: Shape, draws: Draws) -> Array:
        """Return True where a row may not look."""
        rows, columns = shape
        ahead: Array = np.arange(columns) > np.arange(rows)[:, None] % columns
        return ahead

    @rule(
        "x",
        "mask",
        comparisons="B*S*(n-1)",
        additions="B*S*n + B*S*(n-1)",
        special="B*S*n",
        divisions="B*S*n",
        workspace="i*B*S",
    )
    def primal(self, at: At, out: Array) -> None:
        np.copyto(out, at.x)
        np.copyto(out, -np.inf, where=at.mask)
        softmax(out, out)


class Scores(Join):
    """y[.., i, j] = sum_d q[.., i, d] k[.., j, d], for q (B, H.., m, d) and k (B, H.., n, d).

    Symbols: H heads, m and n rows, d their length.
    """

    symbol_names = {"H": "h{out}", "m": "q{out}", "n": "k{out}", "d": "d{out}"}
    pulls = ("vjp_q", "vjp_k")

    def __init__(self, q: Shape, k: Shape) -> None:
        """Take the two shapes."""
        super().__init__((q, k), (*q[:-1], k[-2]))

    @property
    def sizes(self) -> dict[str, int]:
        q, k = self.inputs
        return {"H": prod(q[:-2]), "m": q[-2], "n": k[-2], "d": q[-1]}

    @rule("x0", "x1", macs="B*H*m*n*d", additions="B*H*m*n*(d-1)")
    def primal(self, at: At, out: Array) -> None:
        """Fill out = q k^T."""
        np.matmul(at.x0, _swap(at.x1), out=out)

    def _push(self, at: At, index: int, t: Array) -> Array:
        """Return one input's share of the tangents: (.., m, n, K)."""
        if index == 0:
            share: Array = np.matmul(at.x1[..., None, :, :], t)
            return share
        return _swap_before_last(np.matmul(at.x0[..., None, :, :], t))

    @rule("x~", macs="B*H*m*n*d*K", additions="B*H*m*n*(d-1)*K", workspace="i*B*H*m*n*K")
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Write one input's share."""
        np.copyto(out, self._push(at, index, t))

    @rule("x~", macs="B*H*m*n*d*K", additions="B*H*m*n*(d-1)*K + B*H*m*n*K", workspace="i*B*H*m*n*K")
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Add the other's."""
        np.add(out, self._push(at, index, t), out=out)

    @rule("x1", macs="B*H*m*n*d*K", additions="B*H*m*d*(n-1)*K")
    def vjp_q(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull to q: out = g k."""
        np.matmul(g, at.x1, out=out)

    @rule("x0", macs="B*H*m*n*d*K", additions="B*H*n*d*(m-1)*K")
    def vjp_k(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull to k: out = g^T q."""
        np.matmul(_swap(g), at.x0, out=out)


class Weighted(Join):
    """y[.., i, d] = sum_j p[.., i, j] v[.., j, d], for p (B, H.., m, n) and v (B, H.., n, d).

    Symbols: H heads, m and n rows, d the length of those of v.
    """

    symbol_names = {"H": "h{out}", "m": "q{out}", "n": "k{out}", "d": "d{out}"}
    pulls = ("vjp_p", "vjp_v")

    def __init__(self, p: Shape, v: Shape) -> None:
        """Take the two shapes."""
        super().__init__((p, v), (*p[:-1], v[-1]))

    @property
    def sizes(self) -> dict[str, int]:
        p, v = self.inputs
        return {"H": prod(p[:-2]), "m": p[-2], "n": p[-1], "d": v[-1]}

    @rule("x0", "x1", macs="B*H*m*n*d", additions="B*H*m*d*(n-1)")
    def primal(self, at: At, out: Array) -> None:
        """Fill out = p v."""
        np.matmul(at.x0, at.x1, out=out)

    def _push(self, at: At, index: int, t: Array) -> Array:
        """Return one input's share of the tangents: (.., m, d, K)."""
        if index == 0:
            share: Array = np.matmul(_swap(at.x1)[..., None, :, :], t)
            return share
        return _swap_before_last(np.matmul(at.x0[..., None, :, :], _swap_before_last(t)))

    @rule("x~", macs="B*H*m*n*d*K", additions="B*H*m*d*(n-1)*K", workspace="i*B*H*m*d*K")
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Write one input's share."""
        np.copyto(out, self._push(at, index, t))

    @rule("x~", macs="B*H*m*n*d*K", additions="B*H*m*d*(n-1)*K + B*H*m*d*K", workspace="i*B*H*m*d*K")
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Add the other's."""
        np.add(out, self._push(at, index, t), out=out)

    @rule("x1", macs="B*H*m*n*d*K", additions="B*H*m*n*(d-1)*K")
    def vjp_p(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull to p: out = g v^T."""
        np.matmul(g, _swap(at.x1), out=out)

    @rule("x0", macs="B*H*m*n*d*K", additions="B*H*n*d*(m-1)*K")
    def vjp_v(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull to v: out = p^T g."""
        np.matmul(_swap(at.x0), g, out=out)


def _swap(x: Array) -> Array:
    """Return the view with the last two axes exchanged."""
    rank = len(x.shape)
    return x.transpose(*range(rank - 2), rank - 1, rank - 2)


def _swap_before_last(x: Array) -> Array:
    """Return the view with the two axes before the last exchanged."""
    rank = len(x.shape)
    return x.transpose(*range(rank - 3), rank - 2, rank - 3, rank - 1)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    query, memory = sources[0], sources[-1]
    for source in sources:
        if len(source.shape) != 2:
            raise builder.error(f"multi_head_attention reads [positions, units], not {list(source.shape)}")
    (rows, units), (columns, _) = query.shape, memory.shape
    heads, causal = options["heads"], options["causal"]
    groups = heads if options["kv_heads"] is None else options["kv_heads"]
    size = options["head_units"] or units // heads
    if heads % groups or (options["head_units"] is None and units % heads):
        raise builder.error(f"heads {heads} must be a multiple of kv_heads {groups}, and divide the {units} units")
    if causal and rows != columns:
        raise builder.error(f"causal needs as many positions to look from ({rows}) as to look at ({columns})")

    def project(source: Node, count: int) -> Node:
        flat = builder.add(Dense(source.shape, count * size, options["bias"]), source, letter="s")
        split = builder.add(Reshape(flat.shape, (flat.shape[0], count, size)), flat, letter="s")
        return builder.add(Permute(split.shape, (1, 0, 2)), split, letter="s")

    q, k, v = project(query, heads), project(memory, groups), project(memory, groups)
    mixed = _attend(builder, q, k, v, causal, 1 / sqrt(size))
    mixed = builder.add(Permute(mixed.shape, (1, 0, 2)), mixed, letter="s")
    mixed = builder.add(Reshape(mixed.shape, (rows, heads * size)), mixed, letter="s")
    return builder.add(Dense(mixed.shape, units, options["bias"]), mixed)


def _attend(builder: Builder, q: Node, k: Node, v: Node, causal: bool, scale: float, *, letter: str = "s") -> Node:
    """Add softmax(scale q k^T) v, for q (H, m, d), k (G, n, d), v (G, n, e); returns (H, m, e)."""
    (heads, rows, size), (groups, _, _) = q.shape, k.shape
    # Heads that share keys stand as further rows of one: (groups, heads/groups * rows, size).
    q = builder.add(Reshape(q.shape, (groups, heads // groups * rows, size)), q, letter="s")
    q = builder.add(Scale(q.shape, scale), q, letter="s")
    scores = builder.add(Scores(q.shape, k.shape), q, k, letter="s")
    weights = builder.add((CausalSoftmax if causal else Softmax)(scores.shape), scores, letter="s")
    mixed = builder.add(Weighted(weights.shape, v.shape), weights, v, letter="s")
    return builder.add(Reshape(mixed.shape, (heads, rows, v.shape[-1])), mixed, letter=letter)


def _build_attention(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    q, k, v = (source.shape for source in sources)
    fits = len(q) == len(k) == len(v) == 3 and q[2] == k[2] and k[:2] == v[:2] and q[0] % k[0] == 0
    if not fits:
        shown = ", ".join(str(list(shape)) for shape in (q, k, v))
        raise builder.error(
            f"attention reads queries [heads, positions, units], keys and values that fit them, not {shown}"
        )
    if options["causal"] and q[1] != k[1]:
        raise builder.error(f"causal needs as many positions to look from ({q[1]}) as to look at ({k[1]})")
    scale = 1 / sqrt(q[2]) if options["scale"] is None else options["scale"]
    first, second, third = sources
    return _attend(builder, first, second, third, options["causal"], scale, letter="a")


def _build_matmul(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    first, second = (source.shape for source in sources)
    inner = second[-1:] if options["transpose"] else second[-2:-1]
    if len(first) != len(second) or len(first) < 2 or first[:-2] != second[:-2] or first[-1:] != inner:
        shown = " and ".join(str(list(shape)) for shape in (first, second))
        raise builder.error(f"matmul cannot multiply {shown}; the last axis of the one must meet that of the other")
    return builder.add((Scores if options["transpose"] else Weighted)(first, second), *sources)


ATTENTION = LayerType("attention", {"causal": Bool(False), "scale": Float(None)}, _build_attention, inputs=(3, 3))
MATMUL = LayerType("matmul", {"transpose": Bool(False)}, _build_matmul, inputs=(2, 2))
MULTI_HEAD_ATTENTION = LayerType(
    "multi_head_attention",
    {
        "heads": Int(),
        "kv_heads": Int(None),
        "head_units": Int(None),
        "causal": Bool(False),
        "bias": Bool(True),
    },
    _build,
    inputs=(1, 2),
)
