"""``gradcost import``: a model file as a spec."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.output import check_writable, write_whole
from gradcost.errors import UsageError


class Loss(click.ParamType[str]):
    """The name of a loss; what it may be is looked up when help is asked for, and checked by the import."""

    name = "loss"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """List the losses."""
        from gradcost.layers import LOSSES

        return "|".join(LOSSES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take it as it is."""
        return str(value)


@click.command("import")
@click.argument("model", type=click.Path())
@click.option("--output", "-o", metavar="FILE|-", default="-", show_default=True, help="Where the YAML goes.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Where the file leaves it open."
)
@click.option(
    "--shape", "shapes", multiple=True, metavar="INPUT=SIZES", help="An input's shape, as in x=1,3,224,224; repeatable."
)
@click.option("--loss", type=Loss(), default="none", show_default=True, help="The spec's.")
def import_model(model: str, output: str, batch: int, shapes: tuple[str, ...], loss: str) -> None:
    """Write the ONNX file MODEL as a YAML spec.

    \b
    gradcost import resnet50.onnx -o resnet50.yaml
    gradcost import bert.onnx --shape tokens=1,128 --loss softmax_ce

    Every operation has its counterpart, with its parameters and MACs, or is named in one error. Needs the extra `onnx`.
    For PyTorch modules, see gradcost.from_torch.
    """
    from gradcost.importing import from_onnx

    if output != "-":
        check_writable(output, "--output")
    text = from_onnx(model, batch=batch, shapes=dict(map(_shape, shapes)), loss=loss).yaml
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_whole(output, text, "--output")


def _shape(text: str) -> tuple[str, list[int]]:
    name, _, sizes = text.rpartition("=")
    try:
        found = [int(size) for size in sizes.split(",")]
    except ValueError:
        found = []
    if not name or not found or min(found) < 1:
        raise UsageError(f"--shape {text!r} is not like x=1,3,224,224")
    return name, found
