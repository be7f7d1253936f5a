"""``sae-merge train-saes``: from a model and texts to a folder of SAEs, one a layer."""

from pathlib import Path
from typing import Any

import click

from sae_merge_method.cli.members import WithMembers
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import config_option, given_options, record_options
from sae_merge_method.train_saes.settings import TrainSaesSettings


@click.command("train-saes", cls=WithMembers)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write the SAEs to.")
@record_options(TrainSaesSettings, from_file=True)
@config_option
@click.option("--overwrite", is_flag=True, help="Replace a folder that stands at --out.")
@click.pass_context
def command(ctx: click.Context, /, config: Path | None, out: Path, overwrite: bool, **options: Any) -> None:
    """Train an SAE on every layer of a model, all from one forward pass over the texts.

    Writes SAEs in SAELens' format, train_saes.json and a card (README.md) into --out, and prints what each
    SAE keeps of text that was held out. Interrupted, the same command goes on where it was.

    sae-merge diagnose --sae OUT reads SAEs of layers' output, --sae OUT/attn_out and --sae OUT/mlp_out those
    of other hooks; hf upload OWNER/NAME OUT shares them.
    """
    from sae_merge_method.artifacts.schema import read_settings
    from sae_merge_method.reports.grid import as_text
    from sae_merge_method.train_saes.run import train_saes
    from sae_merge_method.train_saes.tables import saes_grid, texts_grid, training_head

    settings = read_settings(TrainSaesSettings, given_options(ctx, options), config)
    training = train_saes(settings, out, overwrite=overwrite, report=lambda line: show(line, err=True))
    for line in training_head(training):
        show(line)
    for grid in (saes_grid(training), texts_grid(training)):
        show(f"\n{as_text(grid)}")
