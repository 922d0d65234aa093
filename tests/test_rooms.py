"""The house: imports go one way, from room to room, as the README's picture has it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACES = {"gradcost.cli": ROOT / "cli", "gradcost.configs": ROOT / "configs", "gradcost": ROOT / "analyzer"}
TYPES_ALONE = "TYPE_CHECKING"


def picture() -> list[set[str]]:
    """Return the rooms of the README's picture, in the order in which they may be imported."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"```\n(errors, .*?)```", text, re.DOTALL)
    return [set(re.findall(r"[a-z_]+", step)) for step in drawn.split("<-")]


def imports(path: Path) -> set[str]:
    """Return the rooms, or files of the top, that a file imports when it is run."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == TYPES_ALONE:
            waiting += node.orelse
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gradcost"):
            parts = node.module.split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return found


def room(path: Path) -> str:
    inside = path.relative_to(ROOT).parts
    return inside[0] if inside[0] != "analyzer" else inside[1].removesuffix(".py")


def test_imports_go_one_way() -> None:
    order = picture()
    place = {name: index for index, names in enumerate(order) for name in names}
    files = [path for folder in PLACES.values() for path in folder.rglob("*.py")]
    wrong = []
    for path in files:
        own = room(path)
        if own in ("__init__", "__main__"):
            continue  # the public names, and what starts the command line
        assert own in place, f"{own} is not in the picture"
        wrong += [
            f"{path.relative_to(ROOT)} imports {other}"
            for other in sorted(imports(path) - {own})
            if place[other] > place[own] or (place[other] == place[own] and other != own and own not in FIRST_STEP)
        ]
    assert wrong == []


FIRST_STEP = picture()[0]  # small files that may read each other


def test_strategies_hold_strategies_alone() -> None:
    """Each file of the room declares one strategy, but for the registry."""
    for path in (ROOT / "analyzer" / "strategies").glob("*.py"):
        if path.name != "__init__.py":
            assert len(re.findall(r"^(?:STRATEGY|PRIMAL) = Strategy\(", path.read_text(), re.MULTILINE)) == 1, path


def test_rich_and_click_stay_in_the_command_line() -> None:
    for path in (ROOT / "analyzer").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(?:import|from) (?:rich|click)\b", text, re.MULTILINE), path
