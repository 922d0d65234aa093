"""Vertex elimination as a schedule: a network's local Jacobians, and the steps that multiply them."""
