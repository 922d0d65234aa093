"""The counting array: what it counts, what it refuses, what it tracks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcost.counting import CountingArray, Meter
from gradcost.errors import UncountedOperationError
from gradcost.formula import Counts


def counted(*shape: int, meter: Meter | None = None) -> CountingArray:
    return CountingArray(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), meter or Meter())


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_matmul_is_mnk_multiplies_and_mn_k_minus_1_additions(m: int, k: int, n: int) -> None:
    meter = Meter()
    product = np.matmul(counted(m, k, meter=meter), counted(k, n, meter=meter))
    assert meter.counts == Counts(multiplies=m * n * k, macs=m * n * k, additions=m * n * (k - 1))
    assert product.shape == (m, n)


def test_batched_matmul_counts_every_product() -> None:
    meter = Meter()
    np.matmul(counted(2, 3, meter=meter), counted(5, 3, 4, meter=meter))
    assert meter.counts == Counts(multiplies=5 * 2 * 3 * 4, macs=5 * 2 * 3 * 4, additions=5 * 2 * 4 * 2)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda a: a + a, Counts(additions=6)),
        (lambda a: a - 1.0, Counts(additions=6)),
        (lambda a: -a, Counts(additions=6)),
        (lambda a: a * a[0], Counts(multiplies=6)),
        (lambda a: 2.0 / a, Counts(divisions=6)),
        (np.exp, Counts(special=6)),
        (np.sqrt, Counts(special=6)),
        (lambda a: np.maximum(a, 0.0), Counts(comparisons=6)),
        (lambda a: a > 1.0, Counts(comparisons=6)),
        (lambda a: np.add.reduce(a, axis=0), Counts(additions=3)),
        (lambda a: np.add.reduce(a, axis=1, keepdims=True), Counts(additions=4)),
        (lambda a: np.add.reduce(a.reshape(-1)), Counts(additions=5)),
        (lambda a: np.maximum.reduce(a, axis=1), Counts(comparisons=4)),
        (lambda a: a[:, None, :] * a[None], Counts(multiplies=12)),
        (lambda a: a.T.reshape(-1), Counts()),
        (lambda a: np.empty_like(a), Counts()),
        (lambda a: np.take_along_axis(a, np.arange(2, like=a).reshape(2, 1), axis=1), Counts()),
        (lambda a: np.put_along_axis(a, np.arange(2, like=a).reshape(2, 1), 0.0, axis=1), Counts()),
        (lambda a: np.add.at(a, (np.arange(2, like=a), np.arange(2, like=a)), a[:, 0]), Counts(additions=2)),
    ],
)
def test_each_operation_is_counted_by_its_operands(operation: Any, expected: Counts) -> None:
    meter = Meter()
    operation(counted(2, 3, meter=meter))
    assert meter.counts == expected


@pytest.mark.parametrize(
    "operation",
    [
        np.sin,
        np.arctan2,
        np.linalg.inv,
        np.sum,
        np.dot,
        lambda a, b=None: np.einsum("ij->i", a),
        lambda a, b=None: np.add.accumulate(a),
        lambda a, b=None: np.multiply.reduce(a),
        lambda a, b=None: np.add.outer(a, a),
        lambda a, b=None: np.add(a, 1.0, where=np.ones((2, 3), bool)),
        lambda a, b=None: np.concatenate([a, a]),
        lambda a, b=None: np.asarray(a),
        lambda a, b=None: a + np.ones((2, 3)),
    ],
)
def test_what_has_no_rule_is_an_error_and_never_zero(operation: Any) -> None:
    array = counted(2, 3)
    arguments = (array, array) if operation in (np.arctan2, np.dot) else (array,)
    with pytest.raises(UncountedOperationError):
        operation(*arguments)


def test_buffers_are_tracked_until_the_last_view_is_gone() -> None:
    meter = Meter()
    array = counted(4, 5, meter=meter)
    assert meter.live == meter.peak == 160
    view = array[1:]
    assert meter.live == 160
    double = array * 2.0
    assert (meter.live, meter.peak) == (320, 320)
    del array
    assert meter.live == 320, "the view keeps the buffer"
    del view
    assert meter.live == 160
    np.multiply(double, 2.0, out=double)
    assert (meter.live, meter.peak) == (160, 320)
    del double
    assert meter.live == 0


def test_a_reshape_that_has_to_copy_is_a_buffer_of_its_own() -> None:
    meter = Meter()
    array = counted(2, 3, meter=meter)
    flat = array.T.reshape(6)
    assert meter.live == 96
    assert flat.shape == (6,)


def test_writing_is_a_move() -> None:
    meter = Meter()
    array = counted(2, 3, meter=meter)
    array[0] = 7.0
    array[1] = array[0]
    np.copyto(array, array)  # type: ignore[arg-type]
    assert meter.counts == Counts()
    assert (array.data == 7.0).all()
