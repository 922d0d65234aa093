"""The network spec: YAML or a dict becomes checked entries that still know their place in the file."""

from gradcost.spec.located import Located, from_python
from gradcost.spec.network import NetworkSpec, read_spec
from gradcost.spec.source import Source, read_source
from gradcost.spec.unroll import LayerEntry

__all__ = ["LayerEntry", "Located", "NetworkSpec", "Source", "from_python", "read_source", "read_spec"]
