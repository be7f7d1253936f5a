"""``sae-merge demo``: the whole road on a miniature trained on the spot."""

import logging
from pathlib import Path

import click

from sae_merge_method.miniature.settings import Settings


@click.command("demo", context_settings={"show_default": True})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    help="Folder for everything the demo makes; an interrupted demo in it goes on.",
)
@click.option("--overwrite", is_flag=True, help="Start the demo that stands in --out from the beginning.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of texts, models, SAEs and random layers.")
@click.option(
    "--problems",
    type=click.IntRange(2, 300),
    default=Settings.problems_per_subject,
    help="Held-out problems a subject.",
)
def command(out: Path, overwrite: bool, seed: int, problems: int) -> None:
    """Train a miniature, then diagnose, merge, evaluate and compare on it.

    Offline and on the CPU. Tokenizer, base, donor and SAEs are trained the first time and kept in
    the user's cache folder. The five stages run through their public commands, which are shown and
    can be typed again inside --out.
    """
    from sae_merge_method.miniature.demo import MARKDOWN_FILE, run_demo
    from sae_merge_method.miniature.report import as_table, conclusions

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("sae_merge_method").setLevel(logging.INFO)
    report = run_demo(Settings(seed=seed, problems_per_subject=problems), out, overwrite=overwrite)
    click.echo()
    click.echo(as_table(report))
    for sentence in (*conclusions(report), *report.notes):
        click.echo(f"- {sentence}")
    stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in report.seconds.items())
    click.echo(f"\nSeconds: {stages}; together {sum(report.seconds.values()):.0f}.")
    click.echo(f"All of it is in {out}, this table in {out / MARKDOWN_FILE}.")
