"""Lifetimes: a buffer comes alive at the step that makes it and dies after the last step that touches it.

``resolve`` settles that once for a program, and with it where a step may write over an operand that dies there (buffer
donation). Prediction, execution and the timeline read what it leaves in the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcost.schedule.program import Buffer, Program


def resolve(program: Program) -> None:
    """Settle what each step allocates, frees and gives back, and which donations hold.

    An operand may be written over only if it dies at that step and no other live buffer shares its storage.
    """
    last: dict[Buffer, int] = {}
    for index, step in enumerate(program.steps):
        for buffer in step.touches:
            last[buffer] = index
        if step.makes is not None:
            last[step.makes] = index
    storage: dict[Buffer, Buffer] = {buffer: buffer for buffer in program.initial}
    alive: dict[Buffer, int] = dict.fromkeys(program.initial, 1)  # storage -> buffers that still view it
    for index, step in enumerate(program.steps):
        made = step.makes
        if made is not None:
            if step.over:
                step.over = tuple(
                    b
                    for b in step.over
                    if not b.held and not storage[b].held and last[b] == index and alive[storage[b]] == 1
                )[:1]
            shared = step.view_of or (step.over[0] if step.over else None)
            base = made if shared is None else storage[shared]
            step.storage = storage[made] = base
            alive[base] = alive.get(base, 0) + 1
        touched = dict.fromkeys((*step.touches, made) if made else step.touches)
        step.frees = tuple(b for b in touched if last[b] == index and not b.held)
        drops = []
        for buffer in step.frees:
            base = storage.pop(buffer)
            alive[base] -= 1
            if not alive[base]:
                del alive[base]
                drops.append(base)
        step.drops = tuple(drops)
