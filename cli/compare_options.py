"""What ``sae-merge compare`` does with a comparison: the options beside those of its settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sae_merge_method.artifacts.comparison import COMPARISON_FILE, TABLE_FILE, Comparison
from sae_merge_method.artifacts.schema import OneOf
from sae_merge_method.cli.members import Member
from sae_merge_method.cli.output import show
from sae_merge_method.compare.render import FORMATS, suffixes
from sae_merge_method.files.writing import canonical_json

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
# Exit codes of the release gate.
REGRESSION, NO_IMPROVEMENT = 3, 4

_OPTIONS = (
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
        type=Member(OneOf(FORMATS)),
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
        f"ends in {', '.join(suffixes())}.",
    ),
    click.option("--plot", type=PATH, help="Also draw a forest plot into this .png or .svg file."),
    click.option(
        "--fail-on-regression",
        is_flag=True,
        help=f"Exit with {REGRESSION} if a subject, a group or all together is significantly worse after "
        "correction, or could not be tested, and say which.",
    ),
    click.option(
        "--require-improvement",
        is_flag=True,
        help=f"Exit with {NO_IMPROVEMENT} if no subject and no group is significantly better after "
        "correction, and say what comes nearest.",
    ),
)


def _print_schema(ctx: click.Context, asked: bool) -> None:
    if asked:
        show(canonical_json(Comparison.model_json_schema()), nl=False)
        ctx.exit()


def output_options(function: AnyFunction) -> AnyFunction:
    """Decorate a command with all of them, in this order."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
