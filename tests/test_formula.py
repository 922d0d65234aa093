"""Closed forms: what they evaluate to and how they read."""

from __future__ import annotations

from gradcost.formula import Cost, Counts, Dims, Term, explain


def test_multiplies_are_macs_and_products() -> None:
    cost = Cost(macs="B*n*m", products="B*n", additions="B*n*(m-1)", workspace="2*i*n")
    values = cost.evaluate(Dims({"B": 2, "n": 3, "m": 4, "i": 8}, {}))
    assert values == (30, 24, 18, 0, 0, 0, 48)


def test_quiet_symbols_are_left_out() -> None:
    dims = Dims({"B": 1, "S": 1, "n": 4, "m": 3, "h": 0}, {"B": "B", "n": "n2", "m": "n1"})
    term = Term(Cost(macs="B*S*n*m", additions="B*S*n*(m-1) + h*B*S*n"), dims)
    assert explain([term], "macs") == "B*n2*n1 = 1*4*3 = 12"
    assert explain([term], "additions") == "B*n2*(n1-1) = 1*4*(3-1) = 8"
    assert explain([term], "special") == ""


def test_like_terms_are_gathered() -> None:
    dims = Dims({"B": 2, "n": 4}, {"B": "B", "n": "n1"})
    term = Term(Cost(products="B*n"), dims)
    assert explain([term, term], "multiplies") == "2*(B*n1) = 2*(2*4) = 16"
    assert explain([Term(term.cost, dims, 5)], "multiplies") == "5*(B*n1) = 5*(2*4) = 40"


def test_flops_count_macs_once() -> None:
    assert Counts(multiplies=5, macs=5, additions=4, divisions=3, special=2, comparisons=1).flops == 15
