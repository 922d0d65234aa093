"""Coverage-guided fuzzing of the spec reader, by hand: whatever the bytes, a graph or one clear error.

pip install atheris
python tests/fuzz/spec_reader.py CORPUS -max_total_time=600

The example networks are the first corpus. Anything but a ``SpecError`` or ``UsageError`` ends the run with the input.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gradcost", "yaml"]):
    import gradcost
    from gradcost.graph import build_graph
    from gradcost.layers import LAYER_TYPES, LOSSES, VARIABLES
    from gradcost.spec.located import parse_yaml
    from gradcost.spec.network import _network

CONFIGS = Path(__file__).parent.parent.parent / "configs"
MOST_LAYERS = 2_000  # what is larger takes long, and shows nothing new
seen = {"inputs": 0, "specs": 0, "graphs": 0}


def one_input(data: bytes) -> None:
    """Read, unroll and build one spec."""
    seen["inputs"] += 1
    try:
        spec = _network(parse_yaml(data.decode("utf-8", "replace"), "fuzz.yaml"), "fuzz")
        seen["specs"] += 1
        if len(spec.layers) <= MOST_LAYERS:
            graph = build_graph(spec, LAYER_TYPES, LOSSES, VARIABLES)
            seen["graphs"] += 1
            assert graph.parameters >= graph.trained_parameters > 0
    except (gradcost.SpecError, gradcost.UsageError) as error:
        text = str(error)
        assert text
        assert "\n" not in text, "one line"
    if seen["inputs"] % 50_000 == 0:
        print(f"{seen['inputs']:,} inputs, {seen['specs']:,} specs, {seen['graphs']:,} graphs", file=sys.stderr)


if __name__ == "__main__":
    folder = Path(next((each for each in sys.argv[1:] if not each.startswith("-")), tempfile.mkdtemp()))
    folder.mkdir(exist_ok=True)
    for path in CONFIGS.rglob("*.yaml"):
        shutil.copy(path, folder / path.name)
    options = [each for each in sys.argv[1:] if each.startswith("-")]
    atheris.Setup([sys.argv[0], str(folder), *options], one_input)
    atheris.Fuzz()
