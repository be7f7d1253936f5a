"""``sae-merge card``: the Hub model card of a merged folder."""

from pathlib import Path

import click


@click.command("card")
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--diagnosis",
    type=click.Path(path_type=Path, exists=True),
    help="Diagnosis that chose the layers: adds their table and plot.",
)
@click.option(
    "--comparison",
    type=click.Path(path_type=Path, exists=True),
    help="comparison.json of the base and this model: adds the verdict, and results to the metadata.",
)
@click.option(
    "--experiment",
    type=click.Path(path_type=Path, exists=True),
    help="Folder of an experiment with controls, or its report: adds what else was tried.",
)
@click.option("--license", "licence", help="Licence, by the Hub's identifier  [default: as the base's card]")
@click.option("--name", help="The model's name  [default: the folder's]")
@click.option(
    "--repo-id", "repository", help="Where it will be uploaded, OWNER/NAME: for the commands shown."
)
@click.option("--base", help="Hub id of the base, where the recipe names a folder.")
@click.option(
    "--donor", "donors", multiple=True, help="Hub id of a donor, likewise; once each, in the recipe's order."
)
def command(
    checkpoint: Path,
    diagnosis: Path | None,
    comparison: Path | None,
    experiment: Path | None,
    licence: str | None,
    name: str | None,
    repository: str | None,
    base: str | None,
    donors: tuple[str, ...],
) -> None:
    """Write the model card of a merged folder, ready for the Hub.

    It is CHECKPOINT's README.md. mergekit's own section, and whatever else stands there, is kept; a
    second run renews what the first one wrote. The licence is the base's or yours, never a guess. Then:

    \b
        hf upload OWNER/NAME CHECKPOINT
    """
    from sae_merge_method.publish.card import CardChoices, write_card

    choices = CardChoices(licence, name, repository, base, donors)
    card = write_card(checkpoint, choices, diagnosis, comparison, experiment)
    click.echo(card.path)
    for model in card.missing:
        click.echo(f"{model} is a folder: --base and --donor can say its Hub id", err=True)
