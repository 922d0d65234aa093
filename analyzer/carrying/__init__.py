"""Forward accumulation: what is carried from node to node, and how each kind of layer pushes it on."""
