"""What a framework's own training step holds: its operations, what they keep, and how long (`--memory-of`)."""
