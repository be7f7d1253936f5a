"""``sae-merge compare``: the verdict on two evaluations."""

from pathlib import Path

import click

from sae_merge_method.artifacts.comparison import COMPARISON_FILE, TABLE_FILE
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.compare.render import FORMATS, render_json, render_markdown
from sae_merge_method.compare.verdict import compare_runs
from sae_merge_method.files import write_text


@click.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("edited", type=click.Path(path_type=Path))
@click.option(
    "--metric",
    default="exact_match,none",
    show_default=True,
    help="Score to compare, as lm_eval writes it: metric, comma, filter. The filter may be left out.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Level of the two-sided test.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(list(FORMATS)),
    default="table",
    show_default=True,
    help="How to print the comparison.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Also write {COMPARISON_FILE} and {TABLE_FILE} into this folder.",
)
def command(base: Path, edited: Path, metric: str, alpha: float, style: str, out: Path | None) -> None:
    """Say what significantly changed from BASE to EDITED, task by task.

    BASE and EDITED are output folders of lm_eval (--output_path), or results files. The test is
    the paper's: z = (edited - base) / sqrt(se_base^2 + se_edited^2), with lm-eval's own standard
    errors. Runs that differ in more than the model are refused.
    """
    comparison = compare_runs(read_results(base), read_results(edited), metric, alpha)
    if out is not None:
        write_text(out / COMPARISON_FILE, render_json(comparison))
        write_text(out / TABLE_FILE, render_markdown(comparison))
    click.echo(FORMATS[style](comparison), nl=False)
