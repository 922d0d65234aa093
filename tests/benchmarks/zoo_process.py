"""A whole process that predicts resnet50, against one that builds it in PyTorch on the meta device and counts it there.

Both count forward and backward of the same network (extra `torch`); ours predicts the other strategies and all memory
too. Time it in a plain install: an editable one finds its modules more slowly.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

from timing import best_seconds, say

THEIRS = """
import sys
import gradcost
from torch.utils.flop_counter import FlopCounterMode
from torch_network import step
counter = FlopCounterMode(display=False)
with counter:
    step(gradcost.load(sys.argv[1]))()
print(counter.get_total_flops())
"""


def main() -> None:
    """Print the ratio for resnet50, and our own time for gpt2_small."""
    tests = str(Path(__file__).parent.parent)
    with as_file(files("gradcost.configs") / "zoo") as folder:
        ours = [sys.executable, "-m", "gradcost", "analyze", f"{folder}/resnet50.yaml", "--no-measure"]
        theirs = [sys.executable, "-c", THEIRS, f"{folder}/resnet50.yaml"]
        gpt2 = [*ours[:-2], f"{folder}/gpt2_small.yaml", "--no-measure"]
        mine, torch, small = best_seconds(
            *(lambda c=c: subprocess.run(c, check=True, capture_output=True, cwd=tests) for c in (ours, theirs, gpt2)),
            rounds=5,
        )
    say("resnet50 predicted, against counted in PyTorch", mine, torch, 0.1)
    print(f"gpt2_small predicted: {small:.2f} s (under 1 s)")


if __name__ == "__main__":
    main()
