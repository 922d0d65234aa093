"""Where ``analyze`` writes its report: JSON, HTML, Markdown, CSV, plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from gradcost.cli.output import check_folder, check_writable, write_folder, write_whole
from gradcost.errors import UsageError

if TYPE_CHECKING:
    from gradcost.report import Analysis, Report
    from gradcost.spec import Source

Output: TypeAlias = tuple[str, str, str | list[tuple[str, bytes]]]  # option, target, text or files
C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--json", metavar="FILE|-", help="Write the report as JSON; - prints it alone on stdout."),
    click.option("--html", metavar="FILE", help="Write a page with tables, plots and the layer graph."),
    click.option("--markdown", metavar="FILE|-", help="Write the comparison for a paper or a pull request."),
    click.option("--csv", metavar="FILE|-", help="Write a line for each strategy, with every figure."),
    click.option("--svg", metavar="FOLDER", help="Write each plot as SVG (extra `plot`)."),
    click.option("--png", metavar="FOLDER", help="Write each plot as PNG (extra `plot`)."),
    click.option(
        "--along",
        multiple=True,
        metavar="PATH=VALUES",
        help="Growth plots along this value of the spec, as in sweep; repeatable. Default: the batch and other sizes.",
    ),
)


def export_options(command: C) -> C:
    """Add the options to a command, which is given them by their names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Exports:
    """The targets of one analysis; None where one was not asked for, ``-`` for stdout."""

    json: str | None
    html: str | None
    markdown: str | None
    csv: str | None
    svg: str | None
    png: str | None
    along: tuple[str, ...]

    @classmethod
    def of(cls, given: dict[str, Any]) -> Exports:
        """Take the targets out of a command's keywords."""
        return cls(**{each.name: given.pop(each.name) for each in fields(cls)})

    def check(self) -> None:
        """Refuse, before any work is done, what could not be written. Raises ``UsageError``."""
        if sum(target == "-" for target in (self.json, self.markdown, self.csv)) > 1:
            raise UsageError("only one of --json, --markdown and --csv can go to stdout; name files for the others")
        if self.along and not (self.html or self.svg or self.png):
            raise UsageError("--along is for plots; ask for them with --html, --svg or --png")
        for option, target in (("--json", self.json), ("--markdown", self.markdown), ("--csv", self.csv)):
            if target not in (None, "-"):
                check_writable(target, option)
        if self.html is not None:
            check_writable(self.html, "--html")
        for option, target in (("--svg", self.svg), ("--png", self.png)):
            if target is not None:
                from gradcost.export.plots import require

                require()
                check_folder(target, option)

    @property
    def stdout_taken(self) -> bool:
        """Whether an export is to be alone on stdout."""
        return "-" in (self.json, self.markdown, self.csv)

    def make(
        self, source: Source, analysis: Analysis, given: Mapping[str, Any], progress: Callable[[str, int, int], None]
    ) -> list[Output]:
        """Make everything that was asked for, without writing any of it; ``given`` is what ``study`` was told."""
        outputs = list(self._texts(analysis.report))
        if not (self.html or self.svg or self.png):
            return outputs
        from gradcost.export import growth_axes, growth_figures, memory_figure, to_html
        from gradcost.export.plots import draw
        from gradcost.grids import parse_axis
        from gradcost.grids.grid import at
        from gradcost.grids.run import Settings, read_tree

        own = {key: given[key] for key in ("batch", "dtype") if given[key] is not None}
        tree = at(read_tree(source), own)
        settings = Settings.of({key: value for key, value in given.items() if key not in ("batch", "dtype")})
        axes = [parse_axis(text) for text in self.along] or growth_axes(tree, analysis)
        growth = growth_figures(tree, axes, settings, progress)
        drawn = {figure.path for figure in growth}
        lacking = next((axis.path for axis in axes if axis.path not in drawn), None)
        if self.along and lacking:
            raise UsageError(f"--along {lacking}: fewer than two of these whole numbers make a network; give others")
        if self.html:
            outputs.append(("--html", self.html, to_html(analysis, growth)))
        progress("drawing", 0, 0)
        memory = [memory_figure(name, analysis.timeline(name)) for name in analysis.report.strategies]
        if self.svg:
            outputs.append(("--svg", self.svg, list(draw(memory, growth, "svg"))))
        if self.png:
            outputs.append(("--png", self.png, list(draw(memory, growth, "png"))))
        return outputs

    def _texts(self, report: Report) -> Iterator[Output]:
        if self.json:
            yield "--json", self.json, report.to_json() + "\n"
        if self.markdown or self.csv:
            from gradcost.export.text import to_csv, to_markdown

            if self.markdown:
                yield "--markdown", self.markdown, to_markdown(report)
            if self.csv:
                yield "--csv", self.csv, to_csv(report)


def write(outputs: Sequence[Output]) -> None:
    """Write each output whole or not at all. Raises ``UsageError``."""
    for option, target, content in outputs:
        if isinstance(content, list):
            write_folder(target, content, option)
        elif target == "-":
            click.echo(content, nl=False)
        else:
            write_whole(target, content, option)
