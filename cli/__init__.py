"""The command line. Everything heavier than click is imported by the command that needs it; ``start`` is the way in."""
