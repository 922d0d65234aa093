"""Mathematics of chains and DAGs: where a chain is cut, which states are kept, in which order a product is made."""
