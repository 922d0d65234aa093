"""Column layouts: the union by carries of integers equals the union by walking sets."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from gradcost.carrying.columns import Birth, Columns, union

WIDTHS = st.lists(st.integers(1, 5), min_size=1, max_size=12)


@given(WIDTHS, st.data())
def test_union_lays_out_every_birth_once_and_finds_it_in_each_holder(widths: list[int], data: st.DataObject) -> None:
    starts = [0, *accumulate(widths)]
    births = [Birth(f"W[{i}]", (w,), starts[i], w) for i, w in enumerate(widths)]
    members = [
        data.draw(st.sets(st.integers(0, len(widths) - 1), min_size=1)) for _ in range(data.draw(st.integers(1, 3)))
    ]
    parts = [Columns(births, sum(1 << i for i in m), sum(widths[i] for i in m)) for m in members]
    whole, runs = union(parts)

    def spans(indices: set[int]) -> dict[int, int]:
        """Map each column, named by its global number, to its place in a stack of these births."""
        names = [c for i in sorted(indices) for c in range(starts[i], starts[i + 1])]
        return {name: place for place, name in enumerate(names)}

    everything = spans(set().union(*members))
    assert whole.width == len(everything)
    assert [birth for birth, _ in whole] == [births[i] for i in sorted(set().union(*members))]
    found: dict[tuple[int, int], int] = {}
    for run in runs:
        for holder, (first, last) in run.holders:
            assert last - first == run.columns[1] - run.columns[0]
            found |= {(holder, run.columns[0] + k): first + k for k in range(last - first)}
    expected = {(h, everything[name]): place for h, m in enumerate(members) for name, place in spans(m).items()}
    assert found == expected
