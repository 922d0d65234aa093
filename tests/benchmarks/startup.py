"""A whole process that predicts two_layer, against one that imports numpy, rich, click and yaml.

Both find their modules compiled, as pip leaves them: a source tree where Python may write no bytecode is compiled anew
by each process, which takes longer than all that is measured here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from timing import best_seconds, say

from gradcost.configs import path


def main() -> None:
    """Print the ratio."""
    with path("two_layer") as file, TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
        ours = [sys.executable, "-m", "gradcost", "analyze", str(file), "--no-measure"]
        theirs = [sys.executable, "-c", "import numpy, rich, click, yaml"]
        mine, imports = best_seconds(
            *(lambda c=c: subprocess.run(c, check=True, capture_output=True, env=environment) for c in (ours, theirs))
        )
    say("analyze two_layer --no-measure against four imports", mine, imports, 1.5)


if __name__ == "__main__":
    main()
