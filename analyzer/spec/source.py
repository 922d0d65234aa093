"""Where a spec comes from: a file, standard input, a network that comes along, or a dict. Each is read once."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from gradcost.errors import SpecError, guess
from gradcost.spec.fields import check_mapping
from gradcost.spec.located import Located, from_python, parse_yaml, plain

MAX_FILE_BYTES = 32 * 2**20
STDIN = "-"
_OF_PYTORCH = "a PyTorch file, not a spec; in Python, gradcost.from_torch(module, example_inputs) makes one of {of}"
MODELS = {
    ".onnx": "an ONNX file, not a spec; make one of it with `gradcost import {file} -o {spec}`",
    ".pt": _OF_PYTORCH.format(of="the module whose weights it holds"),
    ".pth": _OF_PYTORCH.format(of="the module whose weights it holds"),
    ".pt2": _OF_PYTORCH.format(of="torch.export.load({path!r}).module()"),
}


class Source(Mapping[str, Any]):
    """A spec that has been read: a mapping of plain values, which still knows the place of each.

    Attributes:
        root: the values with their places.
        name: the network's, where the spec gives it none.
    """

    def __init__(self, root: Located, name: str) -> None:
        """Raise ``SpecError`` for anything but a mapping."""
        check_mapping(root, "the network spec")
        self.root = root
        self.name = name

    @cached_property
    def _plain(self) -> dict[str, Any]:
        values: dict[str, Any] = plain(self.root)
        return values

    def __getitem__(self, key: str) -> Any:
        """Return the plain value of a key."""
        return self._plain[key]

    def __iter__(self) -> Iterator[str]:
        """Yield the keys, in order."""
        return iter(self._plain)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._plain)


def read_source(source: str | Path | Mapping[str, Any]) -> Source:
    """Read a spec from wherever it comes.

    Args:
        source: a YAML file; ``-``, for standard input; the name of a network that comes along, where no file has it; or
            a dict of the same form. A ``Source`` is returned as it is: a pipe gives its text once.

    Raises:
        SpecError: it cannot be read, is no UTF-8, no YAML, too large, or no mapping.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, Mapping):
        return Source(from_python(source), "network")
    path = Path(source)
    if str(path) == STDIN:
        return _parsed(_standard_input(), "<stdin>", "stdin")
    shipped = _shipped(path)
    if shipped is not None:
        return Source(parse_yaml(shipped, str(path)), path.stem)
    return _parsed(_file(path), str(path), path.stem)


def _parsed(raw: bytes, where: str, name: str) -> Source:
    if len(raw) > MAX_FILE_BYTES:
        raise SpecError(where, f"larger than {MAX_FILE_BYTES >> 20} MiB; use `repeat` for long networks")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise SpecError(f"{where}:{line}:{column}", "not UTF-8 text; save the file as UTF-8") from None
    return Source(parse_yaml(text, where), name)


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise SpecError("<stdin>", "is closed; name a YAML file instead of -")
    if not hasattr(sys.stdin, "buffer"):  # text alone, as an io.StringIO in its place
        return sys.stdin.read(MAX_FILE_BYTES + 1).encode()
    try:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SpecError("<stdin>", f"cannot be read: {error.strerror or error}") from None


def _shipped(path: Path) -> str | None:
    """Return the text of a network that comes along; None where there is none of that name, or a file has it."""
    if path.suffix:
        return None
    from gradcost.configs import find, read

    found = find(path.as_posix())
    if found is None or (path.exists() and not path.is_dir()):
        return None
    return read(found)


def _file(path: Path) -> bytes:
    name = str(path)
    if path.suffix.lower() in MODELS:
        advice = MODELS[path.suffix.lower()]
        file, spec = (shlex.quote(str(each)) for each in (path, path.with_suffix(".yaml")))
        raise SpecError(name, advice.format(file=file, spec=spec, path=name))
    try:
        if path.is_dir():
            raise SpecError(name, "is a directory; name a YAML file")
        with path.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        from gradcost.configs import names

        known = [short for each in names() for short in (each, each.removeprefix("zoo/"))]
        meant = guess(path.stem, known) or ";"
        raise SpecError(name, f"no such file{meant} `gradcost configs` lists the networks that come along") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(repr(name), f"cannot be read: {reason}") from None
