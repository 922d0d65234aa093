"""Liveness and donation, on schedules written by hand."""

from __future__ import annotations

from gradcost.schedule.lifetimes import resolve
from gradcost.schedule.operations import Rename, Zeros
from gradcost.schedule.program import Buffer, Program, Room


def buffer(name: str, *shape: int) -> Buffer:
    return Buffer(name, shape, "float64")


def test_a_buffer_is_freed_after_the_last_step_that_touches_it() -> None:
    program = Program()
    x = program.hold("x", (2,), "float32", ("input", "x"))
    a, b = buffer("a", 3), Buffer("b", (4,), "float32")
    program.step("l", "p", Zeros(), holds=(x,), makes=a)
    program.step("l", "p", Zeros(), holds=(a,), makes=b)
    program.step("l", "p", Room(), holds=(b,))
    resolve(program)
    assert [step.frees for step in program.steps] == [(), (a,), (b,)]
    assert [step.releases for step in program.steps] == [0, 24, 16]
    assert [step.allocates for step in program.steps] == [24, 16, 0]


def test_a_view_keeps_its_base_alive() -> None:
    program = Program()
    a, view = buffer("a", 6), buffer("view", 2, 3)
    program.step("l", "p", Zeros(), makes=a)
    program.step("l", "p", Rename(), args=(a,), makes=view, view_of=a)
    program.step("l", "p", Room(), holds=(view,))
    resolve(program)
    assert [step.allocates for step in program.steps] == [48, 0, 0]
    assert [step.releases for step in program.steps] == [0, 0, 48]
    assert [step.storage for step in program.steps] == [a, a, None]


def test_an_operand_is_written_over_only_if_it_dies_there_unshared_and_unheld() -> None:
    program = Program()
    held = program.hold("x", (2,), "float64", ("input", "x"))
    dying, needed, shared, view = (buffer(name, 2) for name in ("dying", "needed", "shared", "view"))
    made = [buffer(f"made{i}", 2) for i in range(4)]
    for each in (dying, needed, shared):
        program.step("l", "p", Zeros(), makes=each)
    program.step("l", "p", Rename(), args=(shared,), makes=view, view_of=shared)
    for operand, out in zip((held, dying, needed, shared), made, strict=True):
        program.step("l", "p", Zeros(), holds=(operand,), makes=out, over=(operand,))
    program.step("l", "p", Room(), holds=(needed, view))
    resolve(program)
    assert [step.over for step in program.steps[4:8]] == [(), (dying,), (), ()]
    assert [step.allocates for step in program.steps[4:8]] == [16, 0, 16, 16]


def test_a_step_is_data() -> None:
    """What it does follows from whose rule it is and its operands; nothing is hidden in a closure."""
    program = Program()
    a, b = buffer("a", 2), buffer("b", 2)
    program.step("l", "p", Zeros(), args=(a,), makes=b)
    (step,) = program.steps
    assert (type(step.owner), step.rule, step.args, step.fills, step.touches) == (Zeros, "run", (a,), b, (a,))
