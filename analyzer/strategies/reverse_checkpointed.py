"""reverse_checkpointed: some states of the forward sweep are kept, the rest is computed again on the way back.

The graph is cut into a chain of stages where few values cross: at every node that all later ones depend through, and
at the steps of a recurrent layer, where its state alone crosses. The schedule says which states are kept; a value that
no later step touches is freed, so emitting the schedule's actions is all there is to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from gradcost.chains.checkpoints import Action, binomial, fewest_advances, square_root, uniform
from gradcost.chains.scopes import scope_of
from gradcost.chains.stages import crossing, cuts
from gradcost.errors import UsageError
from gradcost.graph import Elementwise, Graph, Node, View
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.predict import predict
from gradcost.schedule.program import Plan, Segment
from gradcost.schedule.strategy import Option, Strategy
from gradcost.schedule.walk import Walk

TRIED = 12  # sizes of each kind of schedule, where a budget asks for the cheapest
MOST_AGAIN = 50  # times that a schedule may run each stage again, on the average: a plan is as long as its work


def plan(graph: Graph, checkpoints: str | None = None, budget: int | None = None) -> Plan:
    """Schedule the stages, by a named schedule or by the cheapest whose peak fits the budget.

    Args:
        graph: the network.
        checkpoints: ``sqrt``, ``uniform:K`` (every K-th state kept), ``binomial:C`` (at most C at once), ``blocks`` or
            ``list:A,B`` (blocks of the spec run again, all else kept; see ``scope_of``).
        budget: bytes alive at the peak; without one, and without a schedule, it is ``sqrt``.

    Raises:
        UsageError: there is no such schedule.
    """
    if checkpoints is not None and checkpoints.partition(":")[0] in ("blocks", "list"):
        return _blocks(graph, checkpoints)
    stages = split(graph)
    if checkpoints is not None or budget is None:
        name = "sqrt" if checkpoints is None else checkpoints
        return _emit(graph, stages, name, read_schedule(name, len(stages)))
    best: tuple[tuple[bool, int, int], Plan] | None = None
    for name, actions in _candidates(len(stages)):
        found = _emit(graph, stages, name, actions)
        cost = predict(found)
        fits = cost.peak_bytes <= budget
        order = (False, cost.counts.flops, cost.peak_bytes) if fits else (True, cost.peak_bytes, 0)
        if best is None or order < best[0]:
            best = order, found
        if fits and len(actions) == 1:
            break  # it keeps everything
    assert best is not None
    return best[1]


def read_schedule(text: str, stages: int) -> list[Action]:
    """Return the schedule of a name such as ``binomial:4`` for a number of stages. Raises ``UsageError``."""
    kind, colon, size = text.partition(":")
    if kind == "sqrt" and not colon:
        return square_root(stages)
    if kind in ("uniform", "binomial") and size.isascii() and size.isdigit() and len(size) < 10:
        if kind == "binomial":
            if fewest_advances(stages, int(size)) > MOST_AGAIN * stages:
                again = f"{fewest_advances(stages, int(size)):,}"
                raise UsageError(f"{text!r} would run {stages:,} stages again {again} times; allow more checkpoints")
            return binomial(stages, int(size))
        if int(size):
            return uniform(stages, int(size))
    raise UsageError(
        f"{text!r} is not a checkpointing schedule; write sqrt, uniform:K or binomial:C, as in binomial:4, blocks or "
        "list:A,B"
    )


def split(graph: Graph) -> list[tuple[Node, ...]]:
    """Cut a graph's operations into a chain of stages.

    A cut is where one value alone crosses to later nodes, or fewer than on both sides of it. Inputs, which are there
    throughout, cross for free; a value is not parted from an elementwise layer or a view of it that comes next.
    """
    nodes = graph.nodes
    together = [isinstance(following.layer, Elementwise | View) for following in nodes[1:]]
    ends = [None if node.layer is None else graph.last_use[node.index] for node in nodes]
    bounds = [0, *(cut + 1 for cut in cuts(crossing(ends), [*together, False])), len(nodes)]
    stages = (tuple(n for n in nodes[i:j] if n.layer is not None) for i, j in pairwise(bounds))
    return [stage for stage in stages if stage]


def _emit(graph: Graph, stages: list[tuple[Node, ...]], name: str, actions: list[Action]) -> Plan:
    emitter = Emitter(graph)
    walk: Walk | None = None
    done, again = 0, 0  # stages that have been run once; and how many were run once more
    for action in actions:
        for number in range(action.start, action.stop):
            again += number < done
            for node in stages[number]:
                emitter.primal(node, "recompute" if number < done else "primal")
            done = max(done, number + 1)
        if action.reverse:
            if walk is None:
                emitter.loss()
                walk = Walk(emitter, emitter.cotangent())
            walk.back([node for stage in stages[action.start : action.stop] for node in stage])
    assert walk is not None
    emitter.program.drop_unused("recompute")
    note = f"schedule {name} over {len(stages):,} stages, of which {again:,} are run again"
    return Plan([Segment(emitter.program)], walk.gradients, carried=emitter.carried, schedule=name, note=note)


def _blocks(graph: Graph, name: str) -> Plan:
    """Keep all but what is inside some blocks, which run again when the walk comes to them; the last one need not."""
    scope = scope_of((layer.name for layer in graph.layers), name)
    layers = (node for node in graph.nodes if node.layer is not None)
    runs = [(block, list(nodes)) for block, nodes in groupby(layers, key=lambda node: scope(node.label))]
    emitter = Emitter(graph)
    emitter.forward()
    emitter.loss()
    walk = Walk(emitter, emitter.cotangent())
    again = [block is not None for block, _ in runs[:-1]] + [False]
    for (_, nodes), repeat in zip(reversed(runs), reversed(again), strict=True):
        for node in nodes if repeat else ():
            emitter.primal(node, "recompute")
        walk.back(nodes)
    emitter.program.drop_unused("recompute")
    note = f"schedule {name}: {sum(again):,} of {len({block for block, _ in runs} - {None}):,} blocks are run again"
    return Plan([Segment(emitter.program)], walk.gradients, carried=emitter.carried, schedule=name, note=note)


def _candidates(stages: int) -> Iterator[tuple[str, list[Action]]]:
    """Yield schedules from the one that keeps everything to the one that keeps nothing."""
    yield f"uniform:{stages}", uniform(stages, stages)
    for size in _sizes(stages):
        yield f"uniform:{size}", uniform(stages, size)
        if fewest_advances(stages, size - 1) <= MOST_AGAIN * stages:
            yield f"binomial:{size - 1}", binomial(stages, size - 1)


def _sizes(stages: int) -> list[int]:
    """Return sizes from 1 to below ``stages``: all of them, or some at equal ratios."""
    if stages - 1 <= TRIED:
        return list(range(1, stages))
    return sorted({round((stages - 1) ** (i / (TRIED - 1))) for i in range(TRIED)})


CHECKPOINTS = Option(
    "checkpoints",
    str,
    "Of reverse_checkpointed: sqrt, uniform:K, binomial:C, blocks or list:A,B. Default: the cheapest within a budget, "
    "else sqrt; in PyTorch, blocks.",
    metavar="SCHEDULE",
)
STRATEGY = Strategy(
    "reverse_checkpointed",
    "some activations kept, the rest computed again on the way back",
    plan,
    options=(CHECKPOINTS,),
    chooses=True,
    aliases=("checkpoint",),
    carried="delta",
)
