"""``sae-merge score``: score a diagnosis anew from its stored usage, without the model."""

from pathlib import Path
from typing import Any

import click

from sae_merge_method.cli.members import WithMembers
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.diagnose.settings import ScoringSettings


@click.command("score", cls=WithMembers)
@click.argument("diagnosis", type=click.Path(path_type=Path))
@record_options(ScoringSettings)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the rescored diagnosis to this folder as well."
)
@click.option("--overwrite", is_flag=True, help="Replace a diagnosis that stands in --out.")
def command(diagnosis: Path, out: Path | None, overwrite: bool, **options: Any) -> None:
    """Score the folder DIAGNOSIS by another score, from its stored feature usage.

    Prints the scores; with --out a complete diagnosis is written, for recipe and select.
    """
    from sae_merge_method.artifacts.schema import read_settings
    from sae_merge_method.diagnose.rescore import score
    from sae_merge_method.diagnose.tables import layers_grid
    from sae_merge_method.reports.grid import as_text

    settings = read_settings(ScoringSettings, options)
    scored = score(diagnosis, settings, out=out, overwrite=overwrite)
    show(as_text(layers_grid(scored)))
    if sentence := scored.without_saes():
        show(f"\n{sentence}")
