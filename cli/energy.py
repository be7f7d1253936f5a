"""``sae-merge energy``: how much of a task vector the selected features' span keeps."""

from pathlib import Path

import click

from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import canonical_json


@click.command("energy", context_settings={"show_default": True})
@click.option("--base", required=True, help="Base model, the diagnosed one: folder or Hub id[@revision].")
@click.option("--donor", required=True, help="Donor model: folder or Hub id[@revision].")
@click.option(
    "--diagnosis",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder that sae-merge diagnose wrote: it ranks the features and names the SAEs.",
)
@click.option(
    "--rank",
    type=click.IntRange(min=1),
    help="How many features of each layer to select, the most selective.  [default: d_model/40: 64 at 2560]",
)
@click.option("--features", help='Or which: "9: 3, 17, 100-110; 11: 4".')
@click.option("--layers", help='Layers to measure, such as "9, 11-13".  [default: all that were diagnosed]')
@click.option("--sae", help="SAEs elsewhere than the diagnosis says: folder template or SAELens release.")
@click.option("--sae-id", help="Id of a layer's SAE within --sae; {layer} stands for its number.")
@click.option(
    "--read-from",
    type=click.Choice(("own", "previous")),
    default="own",
    help="Whose features stand for tensors that read the residual stream: their layer's or the one before.",
)
@click.option(
    "--residual-axes", help='Axes of unknown tensors, such as "mlp.experts.*.down_proj.weight=write:0".'
)
@click.option("--seeds", type=click.IntRange(min=0), default=8, help="Random subspaces to measure a layer.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the first random subspace.")
@click.option(
    "--directions", type=click.IntRange(min=1), default=8, help="Leading principal directions to compare."
)
@click.option(
    "--format", "style", type=click.Choice(("table", "json")), default="table", help="How to print it."
)
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Also draw kept energy by layer (PNG)."
)
def command(
    base: str,
    donor: str,
    diagnosis: Path,
    rank: int | None,
    features: str | None,
    layers: str | None,
    sae: str | None,
    sae_id: str | None,
    read_from: str,
    residual_axes: str | None,
    seeds: int,
    seed: int,
    directions: int,
    style: str,
    plot: Path | None,
) -> None:
    """Measure how much of the task vector (DONOR minus BASE) a projection on SAE features keeps.

    For every kind of tensor, layer and the whole: its size, the energy inside the selected
    features' span, the chance level r/d, random subspaces of equal rank, and the best there is.
    """
    from sae_merge_method.artifacts.diagnosis import read_diagnosis
    from sae_merge_method.artifacts.method_parameters import ScalpelParameters
    from sae_merge_method.energy.measure import MeasureSettings
    from sae_merge_method.energy.run import EnergySettings, measure_energy
    from sae_merge_method.energy.show import format_table, write_plot
    from sae_merge_method.models.residual_axes import parse_axes
    from sae_merge_method.recipe.methods import validated_parameters
    from sae_merge_method.saes.ranking import default_rank

    if rank is not None and features is not None:
        raise UsageError("--rank (how many features) and --features (which): give one of them")
    if rank is None and features is None:
        rank = default_rank(read_diagnosis(diagnosis).model.d_model)
    given = {
        "rank": rank,
        "features": features,
        "diagnosis": str(diagnosis),
        "sae": sae,
        "sae_id": sae_id,
        "read_from": read_from,
    }
    scalpel = validated_parameters("sae_scalpel", given)
    assert isinstance(scalpel, ScalpelParameters)
    axes = parse_axes(residual_axes) if residual_axes else ()
    report = measure_energy(
        EnergySettings(
            base, donor, diagnosis, scalpel, MeasureSettings(seeds, seed, directions, axes), layers
        )
    )
    if plot is not None:
        write_plot(plot, report)
    click.echo(
        canonical_json(report.model_dump(mode="json")) if style == "json" else format_table(report), nl=False
    )
