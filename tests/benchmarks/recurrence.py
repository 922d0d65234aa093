"""What BPTT (`reverse`) and RTRL (`forward_jacobian`) hold on T steps of an rnn of 6 units: predictions, not times."""

from __future__ import annotations

import gradcost
from gradcost.units import format_bytes

BATCH, INPUTS, ITEM_BYTES = 2, 3, 8


def main() -> None:
    """Print a line for each T."""
    layers = [{"type": "rnn", "units": 6}, {"type": "dense", "units": 1}]
    print("    T   BPTT multiplies      memory   RTRL multiplies      memory")
    for steps in (8, 16, 32, 64, 128, 256):
        spec = {"batch": BATCH, "input": {"shape": [steps, INPUTS]}, "layers": layers, "loss": "mse"}
        report = gradcost.analyze(spec, strategies=["reverse", "forward_jacobian"], measure=False)
        data = BATCH * steps * INPUTS * ITEM_BYTES
        columns = (
            f"{s.predicted.multiplies:>18,}{format_bytes(s.predicted.peak_bytes - data):>12}"
            for s in report.strategies.values()
        )
        print(f"{steps:>5}{''.join(columns)}")


if __name__ == "__main__":
    main()
