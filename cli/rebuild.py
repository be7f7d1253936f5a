"""``sae-merge rebuild``: make a merged model again from its own recipe, and compare the bytes."""

from pathlib import Path

import click

DIFFERENT = 1
_SHOWN = 10


@click.command("rebuild")
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--base", help="Base model to use where the recipe names a folder that is not here.")
@click.option(
    "--donor", "donors", multiple=True, help="Donor model, likewise; once for each, in the recipe's order."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists, once the new merge is complete.")
@click.pass_context
def command(
    ctx: click.Context, model: str, out: Path, base: str | None, donors: tuple[str, ...], overwrite: bool
) -> None:
    """Make a merged model again from its own recipe, and compare the bytes.

    MODEL is a merged folder or Hub id[@revision]; the second making is written to OUT. Every
    tensor's hash is compared with MODEL's edit_report.json; of MODEL itself no weights are downloaded
    for that. Exit code 1 if any byte differs.
    """
    from sae_merge_method.artifacts.recipe import RecipeText
    from sae_merge_method.merge.run import merge
    from sae_merge_method.publish.rebuild import compare_with, find_original

    original = find_original(model, base, donors)
    for change in original.changes:
        click.echo(f"recipe: {change}")
    report = merge(
        RecipeText(original.recipe_text, original.where), out, overwrite=overwrite, options={"quiet": True}
    )
    result = compare_with(original, report, out)
    total = result.same + len(result.different)
    click.echo(f"{out}: {result.same} of {total} tensors have the bytes of {model}")
    click.echo(f"result sha256 {result.result_sha256}")
    for name in result.different[:_SHOWN]:
        click.echo(f"  different: {name}")
    if len(result.different) > _SHOWN:
        click.echo(f"  and {len(result.different) - _SHOWN} more")
    if result.base_changed:
        click.echo("the base's config.json is not the one that the model was made from")
    if result.different:
        ctx.exit(DIFFERENT)
