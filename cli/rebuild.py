"""``sae-merge rebuild``: make a merged model again from its own recipe, and compare the bytes."""

from pathlib import Path

import click

from sae_merge_method.cli.allow_mismatch import allow_mismatch_option
from sae_merge_method.cli.output import show

DIFFERENT = 1


@click.command("rebuild")
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--base",
    help="Base model to use where the recipe names a folder that is not here, or MODEL, edited in place.",
)
@click.option(
    "--donor", "donors", multiple=True, help="Donor model, likewise; once for each, in the recipe's order."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists, once the new merge is complete.")
@allow_mismatch_option
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    out: Path,
    base: str | None,
    donors: tuple[str, ...],
    overwrite: bool,
    allow_mismatch: tuple[str, ...],
) -> None:
    """Make a merged model again from its own recipe, and compare the bytes.

    MODEL is a merged folder or Hub id[@revision]; the second making is written to OUT. Every tensor is
    compared with MODEL's in a folder, with its hash in edit_report.json on the Hub: no weights are
    downloaded for that. Exit code 1 if any byte differs.
    """
    from sae_merge_method.publish.rebuild import rebuild

    rebuilt = rebuild(model, out, base, donors, overwrite=overwrite, allow_mismatch=allow_mismatch)
    show(rebuilt)
    if rebuilt.different:
        ctx.exit(DIFFERENT)
