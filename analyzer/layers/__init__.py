"""The registries: what ``type:`` and ``loss:`` may name."""

from __future__ import annotations

from gradcost.graph import LayerType, Loss
from gradcost.layers.activations import ACTIVATION
from gradcost.layers.add import ADD
from gradcost.layers.concat import CONCAT
from gradcost.layers.dense import DENSE
from gradcost.layers.dropout import DROPOUT
from gradcost.layers.layernorm import LAYERNORM
from gradcost.layers.losses import BinaryCrossEntropy, MeanSquaredError, NoLoss, SoftmaxCrossEntropy
from gradcost.layers.multiply import MULTIPLY
from gradcost.layers.views import FLATTEN, RESHAPE

LAYER_TYPES: dict[str, LayerType] = {
    kind.name: kind for kind in (ACTIVATION, ADD, CONCAT, DENSE, DROPOUT, FLATTEN, LAYERNORM, MULTIPLY, RESHAPE)
}

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (BinaryCrossEntropy, SoftmaxCrossEntropy, MeanSquaredError, NoLoss)
}
