"""What a strategy emits, and its price: programs of steps over buffers, their lifetimes, and closed forms over them."""
