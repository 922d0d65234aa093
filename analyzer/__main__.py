"""``python -m gradcost``."""

from gradcost.cli.start import main

if __name__ == "__main__":
    main(prog_name="python -m gradcost")
