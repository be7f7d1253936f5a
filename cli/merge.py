"""``sae-merge merge``: run a recipe, checked first, whole or not at all."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.cli.mergekit_options import given, mergekit_options
from sae_merge_method.cli.recipe_path import RecipePath


@click.command("merge")
@click.argument("recipe", type=RecipePath())
@click.argument("out", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists, once the new merge is complete.")
@click.option(
    "--engine",
    type=click.Choice(["direct", "mergekit"]),
    default="direct",
    show_default=True,
    help="direct computes the changed bytes alone and lets the kernel copy the rest; what it cannot do "
    "goes through mergekit all the same, with a log line.",
)
@click.option("--link", is_flag=True, help="Hard-link weight files that stay as they are (direct engine).")
@click.option(
    "--hash-all", is_flag=True, help="sha256 of every tensor in the report, not of the edited alone."
)
@click.option("--sync/--no-sync", default=True, help="Wait until all is on the disk  [default: sync]")
@click.option(
    "--dry-run", is_flag=True, help="Write nothing; show what would change: tensors, bytes, energy."
)
@click.option(
    "--in-place",
    is_flag=True,
    help="Edit the base's own folder (OUT, if given, must be it). 'sae-merge undo' takes it back.",
)
@mergekit_options
def command(
    recipe: Path,
    out: Path | None,
    overwrite: bool,
    engine: str,
    link: bool,
    hash_all: bool,
    sync: bool,
    dry_run: bool,
    in_place: bool,
    **options: Any,
) -> None:
    """Run a recipe: checked first, written whole or not at all.

    RECIPE is a file or hf://OWNER/NAME[@REVISION]/FILE; the merged checkpoint is written to OUT.
    Everything mergekit passes over in silence is an error here: unknown keys, list-valued
    gates, layers out of range, the diagnosis of another model. Donors are read in the selected
    layers only. OUT appears when the merge is complete and has been checked against the base.
    """
    from sae_merge_method.merge.run import run_recipe, summary

    if in_place and (overwrite or link or engine != "direct"):
        raise click.UsageError(
            "--in-place writes into the base itself: --overwrite, --link, --engine do not apply"
        )
    if out is None and not (dry_run or in_place):
        raise click.UsageError("Missing argument 'OUT'.")
    began = time.perf_counter()
    chosen = given(options)
    chosen.setdefault("quiet", not sys.stderr.isatty())
    source, where = read_recipe_text(recipe), str(recipe)
    if dry_run:
        from sae_merge_method.merge.preview import preview_recipe

        click.echo(preview_recipe(source, where, chosen))
        return
    try:
        if in_place:
            from sae_merge_method.merge.in_place import edit_in_place

            edited = edit_in_place(source, where, out, options=chosen)
            place, report = edited.folder, edited.report
        else:
            assert out is not None
            place = out
            report = run_recipe(
                source, where, out, overwrite=overwrite, engine=engine, link=link,  # type: ignore[arg-type]
                hash_all=hash_all, sync=sync, options=chosen,
            )  # fmt: skip
    except KeyboardInterrupt:
        if out is not None:
            click.echo(f"{out} is as it was" if out.exists() else f"{out} was not written", err=True)
        raise
    click.echo(f"{place}: {summary(report, time.perf_counter() - began)}")
