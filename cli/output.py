"""Where answers go: a terminal, or files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcost.errors import UsageError

if TYPE_CHECKING:
    from gradcost.report.table import Table


def answer(shown: Table | str, value: Any, json: str | None) -> None:
    """Print a table or a sentence; with a target of ``--json``, write the plain data there, ``-`` for stdout alone."""
    from gradcost.cli.render import console, render_json, say, show

    if json is not None:
        if json == "-":
            click.echo(render_json(value), nl=False)
            return
        write_whole(json, render_json(value))
    if isinstance(shown, str):
        say(console(), shown)
    else:
        show(console(), shown)


def check_writable(target: str, option: str = "--json") -> None:
    """Refuse, before any work is done, a file that could not be written. Raises ``UsageError``."""
    path = _path(target, option)
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"{option} {target!r} is a directory; name a file in it")
    if not folder.is_dir():
        raise UsageError(f"{option} {target!r}: there is no directory {str(folder)!r}; create it first")
    if not os.access(folder, os.W_OK) and not _is_special(path):
        raise UsageError(f"{option} {target!r}: the directory {str(folder)!r} cannot be written to")


def check_folder(target: str, option: str) -> None:
    """Refuse, before any work is done, a folder that could not be written in. Raises ``UsageError``."""
    path = _path(target, option)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{option} {target!r} is not a folder; name one for the files")
    check_writable(str(path / "file") if path.exists() else target, option)


def write_folder(target: str, contents: Iterable[tuple[str, bytes]], option: str) -> None:
    """Write files of these names and contents into a folder, which is made if it is not there."""
    path = Path(target)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {target!r} cannot be made: {error.strerror}") from None
    for name, content in contents:
        write_whole(str(path / name), content, option)


def write_whole(target: str, content: str | bytes, option: str = "--json") -> None:
    """Write a file atomically: another file beside it takes its place when it is complete.

    Raises:
        UsageError: it cannot be written; nothing has changed.
    """
    import tempfile

    path = _path(target, option)
    data = content.encode() if isinstance(content, str) else content
    try:
        if _is_special(path):
            path.write_bytes(data)
            return
        import tempfile

        path = path.resolve()
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"{option} {target!r} cannot be written: {error.strerror}") from None


def _path(target: str, option: str) -> Path:
    """Return a target as a path. Raises ``UsageError`` for what was meant as an option."""
    if target.startswith("-"):
        raise UsageError(f"{option} needs a file, and {target!r} is no file name; write './{target}' if it is one")
    return Path(target)


def _is_special(path: Path) -> bool:
    """Whether it is there and no regular file: /dev/stdout, a pipe."""
    return path.exists() and not path.is_file()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
