"""The options of ``sae-merge compare``, and what they turn into."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sae_merge_method.artifacts.comparison import COMPARISON_FILE, TABLE_FILE, Comparison
from sae_merge_method.compare.render import FORMATS
from sae_merge_method.files.writing import canonical_json
from sae_merge_method.statistics.multiplicity import CORRECTIONS

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
# Exit codes of the release gate.
REGRESSION, NO_IMPROVEMENT = 3, 4
# Formats by the ending of a file's name.
SUFFIXES = {".json": "json", ".md": "markdown", ".csv": "csv", ".tex": "latex", ".txt": "table"}

# What is compared, and how. The names are the fields of compare.subject.Settings.
SETTINGS = (
    click.option(
        "--metric",
        default="exact_match,none",
        show_default=True,
        help="Score to compare, as lm_eval writes it: metric, comma, filter. The filter may be left out.",
    ),
    click.option(
        "--tasks",
        multiple=True,
        callback=lambda ctx, parameter, given: tuple(
            name for glob in given for name in glob.split(",") if name
        ),
        help="Only these tasks, or the tasks of these groups: names or patterns like 'mmlu_*', with commas "
        "or repeated. Default: every task with the metric.",
    ),
    click.option(
        "--test",
        type=click.Choice(["lm_eval", "pooled", "mcnemar", "paired_z"]),
        default="lm_eval",
        show_default=True,
        help="Where p comes from. lm_eval is the paper's; mcnemar and paired_z need samples on both sides "
        "(lm_eval --log_samples).",
    ),
    click.option(
        "--correction",
        type=click.Choice(list(CORRECTIONS)),
        default="holm",
        show_default=True,
        help="Correction over subjects, shown beside the raw p.",
    ),
    click.option(
        "--alpha",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.05,
        show_default=True,
        help="Level of the two-sided test; intervals are at 1 - alpha.",
    ),
    click.option(
        "--draws",
        type=click.IntRange(0),
        default=10_000,
        show_default=True,
        help="Bootstrap resamples for paired intervals; 0 for none.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the bootstrap."),
    click.option(
        "--tokenizer",
        type=PATH,
        help="Model folder or tokenizer.json, to count tokens and answers cut off at the token limit.",
    ),
    click.option(
        "--allow-mismatch",
        is_flag=True,
        help="Compare runs that differ in more than the model, and mark it.",
    ),
)

# What becomes of it.
OUTPUT = (
    click.option(
        "--schema",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=lambda ctx, parameter, asked: _print_schema(ctx, asked),
        help="Print the JSON schema of comparison.json, every field explained, and exit.",
    ),
    click.option(
        "--format",
        "style",
        type=click.Choice(list(FORMATS)),
        default="table",
        show_default=True,
        help="How to print the comparison.",
    ),
    click.option(
        "--show-flips",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Print up to N newly right and N newly wrong problems a task, both answers side by side.",
    ),
    click.option(
        "--out",
        type=PATH,
        help=f"Also write {COMPARISON_FILE} and {TABLE_FILE} into this folder; or one file, where the name "
        f"ends in {', '.join(SUFFIXES)}.",
    ),
    click.option("--plot", type=PATH, help="Also draw a forest plot into this .png or .svg file."),
    click.option(
        "--fail-on-regression",
        is_flag=True,
        help=f"Exit with {REGRESSION} if a subject is significantly worse after correction.",
    ),
    click.option(
        "--require-improvement",
        is_flag=True,
        help=f"Exit with {NO_IMPROVEMENT} if no subject is significantly better after correction.",
    ),
)


def _print_schema(ctx: click.Context, asked: bool) -> None:
    if asked:
        click.echo(canonical_json(Comparison.model_json_schema()), nl=False)
        ctx.exit()


def with_options(function: AnyFunction) -> AnyFunction:
    """Decorate a command with all of them, in this order."""
    for option in reversed(SETTINGS + OUTPUT):
        function = option(function)
    return function
