"""What others state of the zoo's networks: parameters exactly, primal MACs as rounded there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """Published figures of one network.

    Attributes:
        parameters: how many.
        giga_macs: multiply-accumulates of the primal at batch 1, in units of 10^9; None where none are stated.
        source: who states them, and what they count.
    """

    parameters: int
    giga_macs: float | None
    source: str


# torchvision's model cards ("num_params" and "GFLOPS" in its documentation), whose GFLOPS are multiply-accumulates of
# convolutions, linear layers and attention's products alone: no normalisation, activation or pooling. Windows in the
# padding count whole.
_TORCHVISION = "torchvision model card"

_TRANSFORMERS = "parameter count of the Hugging Face checkpoint"

PUBLISHED: dict[str, Published] = {
    "zoo/alexnet": Published(61_100_840, 0.71, _TORCHVISION),
    "zoo/bert_base": Published(109_482_240, None, _TRANSFORMERS),
    "zoo/efficientnet_b0": Published(5_288_548, 0.39, _TORCHVISION),
    "zoo/gpt2_small": Published(124_439_808, None, _TRANSFORMERS),
    "zoo/mobilenet_v2": Published(3_504_872, 0.30, _TORCHVISION),
    "zoo/resnet18": Published(11_689_512, 1.81, _TORCHVISION),
    "zoo/resnet50": Published(25_557_032, 4.09, _TORCHVISION),
    "zoo/vgg16": Published(138_357_544, 15.47, _TORCHVISION),
    "zoo/vit_b16": Published(86_567_656, 17.56, _TORCHVISION),
}
