"""Sets of decoder layers as people write them: ``"9, 11-13, 22"``.

The gate is always a *string* in a recipe: mergekit reads a YAML list as a gradient
and interpolates it over the layers of every module.
"""

import re
from collections.abc import Iterable

from sae_merge_method.errors import UsageError

# Five digits are more than any model has, and a range of them still fits in memory.
_ITEM = re.compile(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?", re.ASCII)
_ALL = "all"


def parse_layers(text: str, n_layers: int | None = None) -> tuple[int, ...]:
    """Read ``"9, 11-13, 22"`` as ``(9, 11, 12, 13, 22)``; ranges include both ends.

    Args:
        text: Comma-separated layer numbers and ranges, or ``"all"`` (needs ``n_layers``).
        n_layers: Number of decoder layers of the model, to check against when known.

    Raises:
        UsageError: The text is empty or malformed, or names a layer the model lacks.
    """
    expected = 'layers like "9, 11-13, 22"'
    if text.strip() == _ALL:
        if n_layers is None:
            raise UsageError(f'"{_ALL}" needs the number of layers of the model; expected {expected}')
        return tuple(range(n_layers))
    chosen: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise UsageError(f"expected {expected}, got {text!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"layer range {item.strip()!r} runs backwards, in {text!r}")
        if n_layers is not None and last >= n_layers:
            raise UsageError(
                f"layer {last} is out of range in {text!r}: "
                f"the model has {n_layers} layers, 0 to {n_layers - 1}"
            )
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))


def format_layers(layers: Iterable[int]) -> str:
    """Write layers the way :func:`parse_layers` reads them, joining runs of three or more."""
    runs: list[list[int]] = []
    for layer in sorted(set(layers)):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    parts: list[str] = []
    for run in runs:
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(layer) for layer in run]
    return ", ".join(parts)
