"""Orders of elimination against brute force over all 5,040 of them, on random DAGs of seven inner vertices.

By hand: about a minute. The worst ratio of the cost found to the least one should be 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from gradcost.chains.elimination import Dag, Edge, cost_of
from gradcost.chains.factors import Factor, Line, Passed, identity
from gradcost.chains.orders import least_order

sys.path.append(str(Path(__file__).parent.parent))

from every_order import brute

SIZES = (1, 2, 3, 4, 6, 8, 16, 24)
INNER = 7
DAGS = 200


def dag(draws: Random) -> Dag:
    """Return a DAG whose vertices are all on a path from its source to its sink."""
    sizes = [draws.choice(SIZES) for _ in range(INNER + 2)]
    edges: dict[Edge, Factor] = {}
    for y in range(1, INNER + 2):
        reads = {x for x in range(y) if draws.random() < 0.35} or {draws.randrange(y)}
        edges |= {(x, y): factor(draws, sizes[y], sizes[x]) for x in reads}
    for x in set(range(INNER + 1)) - {x for x, _ in edges}:
        edges[x, INNER + 1] = factor(draws, sizes[-1], sizes[x])
    return Dag(edges, tuple(range(1, INNER + 1)), draws.choice((1, 3)))


def factor(draws: Random, rows: int, columns: int) -> Factor:
    """Return a dense factor, a diagonal, an identity, or one that does not stand."""
    sampled = draws.random() < 0.5
    if rows == columns and draws.random() < 0.5:
        return draws.choice((identity(rows), Factor(rows, rows, rows, sampled=sampled)))
    if draws.random() < 0.2:
        push, pull = (Line(draws.randint(0, 9), draws.randint(0, 30)) for _ in range(2))
        return Factor(rows, columns, sampled=sampled, passed=Passed(push, pull))
    return Factor(rows, columns, sampled=sampled)


def main() -> None:
    """Print the worst ratios of the order that is found, and of forward and reverse, to the least of all."""
    draws, worst = Random(1), {"found": 1.0, "forward": 1.0, "reverse": 1.0}
    for _ in range(DAGS):
        graph = dag(draws)
        bound = brute(graph)
        orders = {"found": least_order(graph), "forward": graph.inner, "reverse": graph.inner[::-1]}
        for name, order in orders.items():
            worst[name] = max(worst[name], cost_of(graph, order) / bound if bound else 1.0)
    print(f"{DAGS} DAGs of {INNER} vertices; the worst ratio to the least of all {INNER}! orders:")
    for name, ratio in worst.items():
        print(f"{name:8} {ratio:.2f}")


if __name__ == "__main__":
    main()
