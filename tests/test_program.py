"""Liveness and donation, on schedules written by hand."""

from __future__ import annotations

from gradcost.schedule.program import Buffer, Program


def nothing(arrays: object) -> None:
    """Run nothing."""


def test_a_buffer_is_freed_after_the_last_step_that_touches_it() -> None:
    program = Program()
    x = program.hold("x", (2,), ("input", "x"))
    a, b = Buffer("a", (3,)), Buffer("b", (4,))
    program.step("l", "p", nothing, touches=(x,), makes=a)
    program.step("l", "p", nothing, touches=(a,), makes=b)
    program.step("l", "p", nothing, touches=(b,))
    program.resolve()
    assert [step.frees for step in program.steps] == [(), (a,), (b,)]
    assert [step.releases for step in program.steps] == [0, 3, 4]
    assert [step.allocates for step in program.steps] == [3, 4, 0]


def test_a_view_keeps_its_base_alive() -> None:
    program = Program()
    a, view = Buffer("a", (6,)), Buffer("view", (2, 3))
    program.step("l", "p", nothing, makes=a)
    program.step("l", "p", nothing, touches=(a,), makes=view, view_of=a)
    program.step("l", "p", nothing, touches=(view,))
    program.resolve()
    assert [step.allocates for step in program.steps] == [6, 0, 0]
    assert [step.releases for step in program.steps] == [0, 0, 6]


def test_an_operand_is_written_over_only_if_it_dies_there_unshared_and_unheld() -> None:
    program = Program()
    held = program.hold("x", (2,), ("input", "x"))
    dying, needed, shared, view = (Buffer(name, (2,)) for name in ("dying", "needed", "shared", "view"))
    made = [Buffer(f"made{i}", (2,)) for i in range(4)]
    for buffer in (dying, needed, shared):
        program.step("l", "p", nothing, makes=buffer)
    program.step("l", "p", nothing, touches=(shared,), makes=view, view_of=shared)
    for operand, out in zip((held, dying, needed, shared), made, strict=True):
        program.step("l", "p", nothing, touches=(operand,), makes=out, over=(operand,))
    program.step("l", "p", nothing, touches=(needed, view))
    program.resolve()
    assert [step.over for step in program.steps[4:8]] == [(), (dying,), (), ()]
    assert [step.allocates for step in program.steps[4:8]] == [2, 0, 2, 2]
