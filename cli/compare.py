"""``sae-merge compare``: the verdict on two evaluations, or more."""

import shutil
from pathlib import Path
from typing import Any

import click

from sae_merge_method.cli.compare_options import NO_IMPROVEMENT, PATH, REGRESSION, output_options
from sae_merge_method.cli.members import WithMembers
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.compare.evaluation import open_evaluations
from sae_merge_method.compare.flips import render_flips
from sae_merge_method.compare.forest import write_forest
from sae_merge_method.compare.render import FORMATS, write_comparison
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.statistics.verdicts import DEGRADED, IMPROVED


@click.command("compare", cls=WithMembers)
@click.argument("base", type=PATH)
@click.argument("edited", type=PATH, nargs=-1, required=True)
@record_options(CompareSettings)
@output_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    base: Path,
    edited: tuple[Path, ...],
    style: str,
    show_flips: int,
    out: Path | None,
    plot: Path | None,
    fail_on_regression: bool,
    require_improvement: bool,
    **settings: Any,
) -> None:
    """Say what significantly changed from BASE to each EDITED, task by task.

    BASE and EDITED are output folders of lm_eval (--output_path), or results files. The test is
    the paper's: z = (edited - base) / sqrt(se_base^2 + se_edited^2), with lm-eval's own standard
    errors. Runs that differ in more than the model are refused.
    """
    before, *after = open_evaluations((base, *edited))
    compared = compare(before, *after, settings=CompareSettings(**settings))
    if plot is not None:
        write_forest(plot, compared)
    if out is not None:
        write_comparison(out, compared)
    show(FORMATS[style].render(compared), nl=False)
    if show_flips:
        width = shutil.get_terminal_size((120, 24)).columns
        for one, comparison in zip(after, compared.comparisons, strict=True):
            # Beside output made for programs, reading matter goes to stderr.
            flips = render_flips(comparison, before, one, show_flips, width)
            show(f"\n{flips}", nl=False, err=style != "table")
    if fail_on_regression and any(one.standing(DEGRADED) for one in compared.comparisons):
        ctx.exit(REGRESSION)
    if require_improvement and not all(one.standing(IMPROVED) for one in compared.comparisons):
        ctx.exit(NO_IMPROVEMENT)
