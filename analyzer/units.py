"""Shapes, byte sizes and large integers: how they are read and how they are shown."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TypeAlias

from gradcost.errors import UsageError

Shape: TypeAlias = tuple[int, ...]

DTYPES = ("float16", "float32", "float64")  # that a network's numbers may have
INDEX = "int64"  # of tokens, classes and positions, as in PyTorch
MASK = "bool"
ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, INDEX: 8, MASK: 1}

_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<prefix>[kmgtp]?)(?P<binary>i?)b?", re.IGNORECASE | re.ASCII)


def parse_bytes(text: str) -> int:
    """Read a byte size such as ``8GiB``, ``500MB`` or ``1024``.

    Raises:
        UsageError: the text is not a positive size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(text) > 40:
        raise UsageError(f"{text[:40]!r} is not a memory size; write for example 8GiB, 500MB or 1048576")
    factor = (_BINARY if match["binary"] else _DECIMAL)[match["prefix"].lower()]
    whole, _, fraction = match["number"].partition(".")
    size = int(whole + fraction) * factor // 10 ** len(fraction)
    if size <= 0:
        raise UsageError(f"{text!r} is no room at all; give a positive memory size")
    return int(size)


def format_bytes(size: int) -> str:
    """Show a byte size with three or more significant digits: ``864 B``, ``1.21 MiB``."""
    if size < 1024:
        return f"{size} B"
    for prefix in "KMGTPEZY":
        size, rest = divmod(size, 1024)
        if size < 1024:
            return f"{size + rest / 1024:.4g} {prefix}iB"
    return f"{format_count(size)} YiB"


def format_count(number: int) -> str:
    """Show a count: exact with thousands separators up to 15 digits, then ``1.234e+20``."""
    if abs(number) < 10**15:
        return f"{number:,}"
    digits = str(number)
    return f"{digits[0]}.{digits[1:4]}e+{len(digits) - 1}"


def format_short(number: int) -> str:
    """Show a count in nine characters: exact below 10^6, then four digits and a unit, as in ``518.3 G``."""
    if number < 10**6:
        return f"{number:,}"
    for exponent, prefix in ((6, "M"), (9, "G"), (12, "T"), (15, "P"), (18, "E")):
        if number < 10 ** (exponent + 3):
            return f"{number // 10 ** (exponent - 3) / 10**3:.4g} {prefix}"
    return format_count(number)


def format_ratio(numerator: int, denominator: int) -> str:
    """Show ``numerator / denominator`` as a factor of at most six characters: ``1.08x``, ``3,400x``, ``6.7e5x``.

    ``-`` stands for a factor of nothing, or one beyond a float's range.
    """
    ratio = exact_ratio(numerator, denominator)
    if ratio == math.inf:
        return "-"
    if ratio < 99.5:
        return f"{ratio:.3g}x"
    if ratio < 9_999.5:
        return f"{ratio:,.0f}x"
    return f"{ratio:.1e}x".replace("e+0", "e").replace("e+", "e")


def format_seconds(seconds: float) -> str:
    """Show a duration: ``133 us``, ``1.81 ms``, ``1.5 s``."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def format_shape(shape: Shape) -> str:
    """Show a shape: ``16x3x3``."""
    return "x".join(map(str, shape))


def format_array(shape: Shape, dtype: str, usual: str) -> str:
    """Show an array's shape, and its dtype where that is not the usual one of the network: ``64x56x56 int64``."""
    return format_shape(shape) + (f" {dtype}" if dtype != usual else "")


def exact_ratio(numerator: int, denominator: int) -> float:
    """Divide two integers of any size; ``inf`` where the quotient is beyond a float."""
    if denominator == 0:
        return 1.0 if numerator == 0 else math.inf
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf


def available_bytes() -> int:
    """Return the memory that a new process could take now, in bytes.

    Linux: ``MemAvailable`` and the room under the limits of the memory control group and of the process's address
    space (``ulimit -v``), whichever is least.
    Elsewhere: the free pages that the C library reports, or 2 GiB where it reports none.
    """
    found = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except OSError:
        pass  # not Linux: the next source answers
    for limit, usage in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            room = int(Path(limit).read_text(encoding="ascii")) - int(Path(usage).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # no such group, or its limit reads "max"
        found.append(max(room, 0))
    found += _address_space()
    if not found and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        found.append(int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    return min(found) if found else 2 * 2**30


def _address_space() -> list[int]:
    """Return the room in the address space of this process, where that is limited."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return []
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return []  # another system, which has no such limit or does not tell
    return [max(limit - used, 0)]
