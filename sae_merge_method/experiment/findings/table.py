"""An experiment as plain text for a terminal."""

import textwrap

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.experiment.findings.columns import Grid, arm_grid, layer_grid
from sae_merge_method.experiment.findings.conclusions import conclusion_lines

_WIDTH = 110


def as_table(experiment: Experiment) -> str:
    """Arms, single layers where there are any, and what the numbers support; a final newline."""
    blocks = ["\n".join(_aligned(arm_grid(experiment)))]
    layers = layer_grid(experiment)
    if layers is not None:
        blocks.append("\n".join(_aligned(layers)))
    if experiment.missing:
        blocks.append(_wrapped(f"Not done: {', '.join(experiment.missing)}", indent=""))
    blocks.append("\n".join(_wrapped(f"- {line}", indent="  ") for line in conclusion_lines(experiment)))
    return "\n\n".join(blocks) + "\n"


def _aligned(grid: Grid) -> list[str]:
    """A row a line, the pick's with an asterisk; words stand left, numbers right."""
    cells = [grid.header]
    cells += [
        tuple(
            ("*" if row in grid.marked and not place else "") + cell.text for place, cell in enumerate(line)
        )
        for row, line in enumerate(grid.rows)
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(grid.header))]
    left = [heading in grid.text for heading in grid.header]
    lines = [
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _wrapped(line: str, indent: str) -> str:
    return textwrap.fill(
        line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
