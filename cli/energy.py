"""``sae-merge energy``: how much of a task vector the selected features' span keeps."""

from pathlib import Path
from typing import Any

import click

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.files.writing import canonical_json, write_bytes


@click.command("energy", context_settings={"show_default": True})
@record_options(EnergySettings)
@click.option(
    "--format", "style", type=click.Choice(("table", "json")), default="table", help="How to print it."
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Also draw kept energy by layer (PNG)."
)
def command(style: str, plot: Path | None, **options: Any) -> None:
    """Measure how much of the task vector (DONOR minus BASE) a projection on SAE features keeps.

    For every kind of tensor, layer and the whole: its size, the energy inside the selected
    features' span, the chance level r/d, random subspaces of equal rank, and the best there is.
    """
    from sae_merge_method.energy.run import energy
    from sae_merge_method.energy.show import draw_plot

    report = energy(read_settings(EnergySettings, options))
    if plot is not None:
        write_bytes(plot, draw_plot(report))
    if style == "json":
        show(canonical_json(report.model_dump(mode="json")), nl=False)
    else:
        show(report)
