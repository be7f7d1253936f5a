"""``sae-merge score``: score a diagnosis anew from its stored usage, without the model."""

from pathlib import Path

import click


@click.command("score", context_settings={"show_default": True})
@click.argument("diagnosis", type=click.Path(path_type=Path))
@click.option("--score", default="kl_bits", help="Specificity score; an unknown name lists them.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the rescored diagnosis to this folder as well."
)
@click.option(
    "--permutations",
    type=click.IntRange(0),
    default=1000,
    help="Shuffles of document labels for the null; 0 for none.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(0),
    default=1000,
    help="Resamples of documents for intervals and stability; 0 for none. "
    "Scores of the top k get no interval: it would not cover the truth.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of shuffles and resamples.")
@click.option(
    "--select", help="Selection rule whose layers are marked in the pictures of --out, such as top_k=3."
)
@click.option("--overwrite", is_flag=True, help="Replace a diagnosis that stands in --out.")
def command(
    diagnosis: Path,
    score: str,
    out: Path | None,
    permutations: int,
    bootstrap: int,
    seed: int,
    select: str | None,
    overwrite: bool,
) -> None:
    """Score the folder DIAGNOSIS by another score, from its stored feature usage.

    Prints the scores; with --out a complete diagnosis is written, for recipe and select.
    """
    from sae_merge_method.diagnose.rescore import rescore
    from sae_merge_method.diagnose.scoring import ScoringSettings
    from sae_merge_method.diagnose.select import format_table
    from sae_merge_method.selection import parse_rule

    rule = parse_rule(select) if select else None
    settings = ScoringSettings(permutations, bootstrap, seed)
    click.echo(format_table(rescore(diagnosis, score, settings, out, overwrite, rule)))
