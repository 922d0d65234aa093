"""Networks from elsewhere as specs: PyTorch modules and ONNX files."""

from gradcost.importing.imported import Imported
from gradcost.importing.onnx_model import from_onnx
from gradcost.importing.torch_export import from_torch

__all__ = ["Imported", "from_onnx", "from_torch"]
