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
from sae_merge_method.compare.gate import why_not_improved, why_stopped
from sae_merge_method.compare.render import FORMATS, write_comparison
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings


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

    BASE and EDITED are output folders of lm_eval (--output_path), or results files; or logs of
    inspect_ai (.eval or JSON), or folders of them. Where both logged samples (--log_samples) the same
    problems are compared pairwise. Beside it stands the paper's
    z = (edited - base) / sqrt(se_base^2 + se_edited^2), with lm-eval's own standard errors, which
    takes both sides for unrelated problems. Runs that differ in more than the model are refused.

    \b
    improved, degraded  the change is shown, at --alpha; "not by Holm" where it is not after correction
    equivalent          the change is shown to be smaller than --margin
    not shown           neither: no proof that nothing changed
    not tested          there is no p, for the reason given
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
    if lines := why_stopped(compared.comparisons, on_regression=fail_on_regression):
        _stop(ctx, REGRESSION, lines)
    if require_improvement and (lines := why_not_improved(compared.comparisons)):
        _stop(ctx, NO_IMPROVEMENT, lines)


def _stop(ctx: click.Context, code: int, lines: list[str]) -> None:
    """End with a gate's exit code, and say why."""
    show("\n".join([f"Stopped (exit {code}):", *(f"  {line}" for line in lines)]), err=True)
    ctx.exit(code)
