"""A whole process that predicts two_layer, against one that imports numpy, rich, click and yaml."""

from __future__ import annotations

import subprocess
import sys

from timing import best_seconds, say

from gradcost.configs import path


def main() -> None:
    """Print the ratio."""
    with path("two_layer") as file:
        ours = [sys.executable, "-m", "gradcost", "analyze", str(file), "--no-measure"]
        theirs = [sys.executable, "-c", "import numpy, rich, click, yaml"]
        mine, imports = best_seconds(
            *(lambda c=c: subprocess.run(c, check=True, capture_output=True) for c in (ours, theirs))
        )
    say("analyze two_layer --no-measure against four imports", mine, imports, 3)


if __name__ == "__main__":
    main()
