"""The command line. Everything heavier than click is imported by the command that needs it."""

from gradcost.cli.main import main

__all__ = ["main"]
