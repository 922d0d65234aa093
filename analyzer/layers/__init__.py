"""The registries: what ``type:`` and ``loss:`` may name."""

from __future__ import annotations

from gradcost.graph import LayerType, Loss, Variables
from gradcost.layers.activations import ACTIVATION
from gradcost.layers.adaptive_pool import ADAPTIVE_AVG_POOL
from gradcost.layers.add import ADD
from gradcost.layers.attention import ATTENTION, MATMUL, MULTI_HEAD_ATTENTION
from gradcost.layers.batchnorm import BATCHNORM
from gradcost.layers.concat import CONCAT
from gradcost.layers.conv import CONV1D, CONV2D
from gradcost.layers.conv_transpose import CONV_TRANSPOSE2D
from gradcost.layers.dense import DENSE
from gradcost.layers.dropout import DROPOUT
from gradcost.layers.embedding import EMBEDDING
from gradcost.layers.groupnorm import GROUPNORM
from gradcost.layers.layernorm import LAYERNORM
from gradcost.layers.losses import BinaryCrossEntropy, MeanSquaredError, NoLoss, SoftmaxCrossEntropy
from gradcost.layers.mean import GLOBAL_AVG_POOL, MEAN
from gradcost.layers.moves import PERMUTE, SLICE
from gradcost.layers.multiply import MULTIPLY
from gradcost.layers.pooling import AVG_POOL, MAX_POOL
from gradcost.layers.positional import CLASS_TOKEN, POSITIONAL
from gradcost.layers.recurrent import GRU, LSTM, RNN
from gradcost.layers.rmsnorm import RMSNORM
from gradcost.layers.scale import SCALE
from gradcost.layers.variable import SampleVariable, Variable
from gradcost.layers.views import FLATTEN, RESHAPE
from gradcost.plugins import installed

_TYPES = (
    ACTIVATION,
    ADAPTIVE_AVG_POOL,
    ADD,
    ATTENTION,
    AVG_POOL,
    BATCHNORM,
    CLASS_TOKEN,
    CONCAT,
    CONV1D,
    CONV2D,
    CONV_TRANSPOSE2D,
    DENSE,
    DROPOUT,
    EMBEDDING,
    FLATTEN,
    GLOBAL_AVG_POOL,
    GROUPNORM,
    GRU,
    LAYERNORM,
    LSTM,
    MATMUL,
    MAX_POOL,
    MEAN,
    MULTIPLY,
    MULTI_HEAD_ATTENTION,
    PERMUTE,
    POSITIONAL,
    RESHAPE,
    RMSNORM,
    RNN,
    SCALE,
    SLICE,
)
LAYER_TYPES: dict[str, LayerType] = {kind.name: kind for kind in (*_TYPES, *installed("gradcost.layers", LayerType))}

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (BinaryCrossEntropy, SoftmaxCrossEntropy, MeanSquaredError, NoLoss)
}

VARIABLES = Variables(of_batch=Variable, of_sample=SampleVariable)

__all__ = ["LAYER_TYPES", "LOSSES", "VARIABLES"]
