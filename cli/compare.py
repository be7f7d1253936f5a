"""``sae-merge compare``: the verdict on two evaluations, or more."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sae_merge_method.artifacts.comparison import COMPARISON_FILE, TABLE_FILE, Comparison
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.cli.compare_options import NO_IMPROVEMENT, PATH, REGRESSION, SUFFIXES, with_options
from sae_merge_method.compare.forest import write_forest
from sae_merge_method.compare.pairing import render_flips
from sae_merge_method.compare.render import FORMATS, render_json, render_markdown
from sae_merge_method.compare.run import Evaluation, compare_runs
from sae_merge_method.compare.subject import Settings
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import write_text


@click.command("compare")
@click.argument("base", type=PATH)
@click.argument("edited", type=PATH, nargs=-1, required=True)
@with_options
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
    before, *after = _evaluations((base, *edited))
    comparisons = [compare_runs(before, one, Settings(**settings)) for one in after]
    if plot is not None:
        write_forest(plot, comparisons)
    if out is not None:
        _write(out, comparisons)
    click.echo(FORMATS[style](comparisons), nl=False)
    if show_flips:
        for one, comparison in zip(after, comparisons, strict=True):
            # Beside output made for programs, reading matter goes to stderr.
            _echo_flips(before, one, comparison, show_flips, err=style != "table")
    if fail_on_regression and any("degraded" in _standing(comparison) for comparison in comparisons):
        ctx.exit(REGRESSION)
    if require_improvement and not all("improved" in _standing(comparison) for comparison in comparisons):
        ctx.exit(NO_IMPROVEMENT)


def _evaluations(paths: Sequence[Path]) -> list[Evaluation]:
    """Read all runs; each is called by its model's last name, or by its path where those are alike."""
    runs = [read_results(path) for path in paths]
    names = [run.model.rstrip("/").rpartition("/")[2] for run in runs]
    alike = len(set(names)) < len(names)
    labels = [str(path) for path in paths] if alike else names
    return [Evaluation(run, label) for run, label in zip(runs, labels, strict=True)]


def _write(out: Path, comparisons: Sequence[Comparison]) -> None:
    """Into one file, in the format its name ends in; under any other name, a folder's two files."""
    if out.suffix in SUFFIXES and not out.is_dir():
        write_text(out, FORMATS[SUFFIXES[out.suffix]](comparisons))
    elif out.is_file():
        raise UsageError(
            f"expected --out to name a folder or a {'/'.join(SUFFIXES)} file, got the file {out}"
        )
    else:
        write_text(out / COMPARISON_FILE, render_json(comparisons))
        write_text(out / TABLE_FILE, render_markdown(comparisons))


def _standing(comparison: Comparison) -> set[str]:
    """The verdicts that stand after correction."""
    return {subject.verdict for subject in comparison.subjects if subject.holds}


def _echo_flips(before: Evaluation, after: Evaluation, comparison: Comparison, most: int, err: bool) -> None:
    width = shutil.get_terminal_size((120, 24)).columns
    click.echo(f"\n{before.label} > {after.label}", err=err)
    for subject in comparison.subjects:
        one, other = (side.read(subject.task, comparison.metric) for side in (before, after))
        click.echo("\n" + render_flips(subject.task, one, other, most, width), nl=False, err=err)
