"""``sae-merge merge``: run a recipe, checked first, whole or not at all."""

import time
from pathlib import Path
from typing import Any

import click

from sae_merge_method.cli.allow_mismatch import allow_mismatch_option
from sae_merge_method.cli.mergekit_options import chosen_options, mergekit_options
from sae_merge_method.cli.output import show
from sae_merge_method.cli.recipe_path import RecipePath
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.merge.settings import MergeSettings


@click.command("merge")
@click.argument("recipe", type=RecipePath())
@click.argument("out", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists, once the new merge is complete.")
@record_options(MergeSettings)
@click.option(
    "--dry-run", is_flag=True, help="Write nothing; show what would change: tensors, bytes, energy."
)
@click.option(
    "--in-place",
    is_flag=True,
    help="Edit the base's own folder (OUT, if given, must be it). 'sae-merge undo' takes it back.",
)
@allow_mismatch_option
@mergekit_options
def command(
    recipe: Path,
    out: Path | None,
    overwrite: bool,
    dry_run: bool,
    in_place: bool,
    allow_mismatch: tuple[str, ...],
    **options: Any,
) -> None:
    """Run a recipe: checked first, written whole or not at all.

    RECIPE is a file or hf://OWNER/NAME[@REVISION]/FILE; the merged checkpoint is written to OUT.
    Everything mergekit passes over in silence is an error here: unknown keys, list-valued
    gates, layers out of range, the diagnosis of another model. Donors are read in the selected
    layers only. OUT appears when the merge is complete and has been checked against the base.
    """
    settings = MergeSettings(**{name: options.pop(name) for name in MergeSettings.model_fields})
    if in_place and (overwrite or settings != MergeSettings(hash_all=settings.hash_all)):
        raise click.UsageError(
            "--in-place writes into the base itself: --overwrite, --link, --engine, --no-sync do not apply"
        )
    began, chosen = time.perf_counter(), chosen_options(options)
    if dry_run:
        from sae_merge_method.merge.preview import preview

        show(str(preview(recipe, options=chosen, allow_mismatch=allow_mismatch)))
        return
    from sae_merge_method.merge.show import summary

    if in_place:
        from sae_merge_method.merge.in_place import edit_in_place

        report = edit_in_place(
            recipe, out, hash_all=settings.hash_all, options=chosen, allow_mismatch=allow_mismatch
        )
    elif out is None:
        raise click.UsageError("Missing argument 'OUT'.")
    else:
        from sae_merge_method.merge.run import merge

        try:
            report = merge(
                recipe, out, settings, overwrite=overwrite, options=chosen, allow_mismatch=allow_mismatch
            )
        except KeyboardInterrupt:
            show(f"{out} is as it was" if out.exists() else f"{out} was not written", err=True)
            raise
    show(f"{out or report.base_model}: {summary(report, time.perf_counter() - began)}")
