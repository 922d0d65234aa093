"""Networks from elsewhere as specs: PyTorch modules and ONNX files."""

from gradcost.importing.imported import Imported
from gradcost.importing.torch_export import from_torch

__all__ = ["Imported", "from_torch"]
