"""Mathematics of chains: where a chain is cut, which states are kept, how a product is bracketed. No graph in it."""
