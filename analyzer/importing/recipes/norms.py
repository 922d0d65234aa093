"""Norms: each has its parameters, and an eps that is left out where it is the usual one."""

from __future__ import annotations

from typing import Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.options import unless
from gradcost.importing.weights import own

EPS = 1e-5


def batchnorm(draft: Draft, name: str, x: Any, gamma: Any, beta: Any, *, batch: bool, eps: float) -> Value:
    """Add a batchnorm, with the statistics of the batch or running ones, of which eps is a part."""
    if gamma is None or beta is None:
        raise UnsupportedError("a batchnorm has gamma and beta")
    options = {"statistics": "batch", "eps": unless(eps, EPS)} if batch else {}
    made = draft.channelwise(name, "batchnorm", as_value(x), **options)
    own(draft, made.layer, gamma=gamma, beta=beta)
    return made


def groupnorm(draft: Draft, name: str, x: Any, gamma: Any, beta: Any, *, groups: int, eps: float) -> Value:
    """Add a groupnorm."""
    if gamma is None or beta is None:
        raise UnsupportedError("a groupnorm has gamma and beta")
    made = draft.channelwise(name, "groupnorm", as_value(x), groups=groups, eps=unless(eps, EPS))
    own(draft, made.layer, gamma=gamma, beta=beta)
    return made


def layernorm(draft: Draft, name: str, x: Any, gamma: Any, beta: Any, *, over_last: bool, eps: float) -> Value:
    """Add a layernorm; ``over_last`` says whether it is over the last axis alone."""
    value = as_value(x)
    if gamma is None or beta is None or not over_last:
        raise UnsupportedError("a layernorm has gamma and beta, over the last axis")
    made = draft.over_last(name, "layernorm", value, eps=unless(eps, EPS))
    own(draft, made.layer, gamma=gamma, beta=beta)
    return made


def rmsnorm(draft: Draft, name: str, x: Any, gamma: Any, *, over_last: bool, eps: float | None) -> Value:
    """Add an rmsnorm."""
    if gamma is None or not over_last:
        raise UnsupportedError("an rmsnorm has gamma, over the last axis")
    made = draft.over_last(name, "rmsnorm", as_value(x), eps=eps)
    own(draft, made.layer, gamma=gamma)
    return made
