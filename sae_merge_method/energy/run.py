"""``sae-merge energy`` from end to end: two checkpoints and a diagnosis in, a report out."""

from pathlib import Path

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.energy_report import EnergyReport
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.energy.measure import measure
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import UsageError
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.layers import format_layers, parse_layers
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.residual_axes import parse_axes
from sae_merge_method.models.task_vector import task_vector
from sae_merge_method.recipe.diagnosed import open_diagnosis
from sae_merge_method.recipe.methods import validated_parameters
from sae_merge_method.recipe.preflight import open_donor
from sae_merge_method.recipe.subspaces import Subspaces
from sae_merge_method.saes.ranking import default_rank


def energy(settings: EnergySettings) -> EnergyReport:
    """Stream the task vector of ``donor`` over ``base``, and measure what the features' span keeps of it.

    Raises:
        SaeMergeError: The diagnosis is of another model, the donor does not fit the base, an SAE cannot
            be read, or a setting does not fit them.
    """
    axes = parse_axes(settings.residual_axes) if settings.residual_axes else ()
    base = open_model(settings.base)
    diagnosis = open_diagnosis(Path(settings.diagnosis), base, settings.base, [settings.donor]).content
    layers = _layers(settings, tuple(diagnosis.scores()), base.n_layers)
    donor = open_donor(settings.donor, layers, base, settings.base, settings.allow_mismatch)
    subspaces = Subspaces(_scalpel(settings, diagnosis), layers)
    subspaces.check()
    with one_blas_thread():
        measured = measure(task_vector(base, donor, layers), subspaces, axes, settings)
    return EnergyReport(
        base=settings.base,
        donor=settings.donor,
        d_model=diagnosis.model.d_model,
        read_from=settings.read_from,
        seed=settings.seed,
        total=measured.total,
        layers=tuple(measured.layers),
        kinds=tuple(measured.kinds),
        left_out=tuple(measured.left_out),
    )


def _scalpel(settings: EnergySettings, diagnosis: Diagnosis) -> ScalpelParameters:
    """The scalpel whose subspace is measured."""
    rank = settings.rank
    if rank is None and settings.features is None:
        rank = default_rank(diagnosis.model.d_model)
    named = settings.model_dump(include={"features", "diagnosis", "sae", "sae_id", "read_from"})
    scalpel = validated_parameters("sae_scalpel", {**named, "rank": rank})
    assert isinstance(scalpel, ScalpelParameters)
    return scalpel


def _layers(settings: EnergySettings, diagnosed: tuple[int, ...], n_layers: int) -> tuple[int, ...]:
    if settings.layers is None:
        return diagnosed
    wanted = parse_layers(settings.layers, n_layers)
    missing = sorted(set(wanted) - set(diagnosed))
    if missing:
        raise UsageError(
            f"layers: {format_layers(missing)} were not diagnosed; the diagnosis has "
            f"{format_layers(diagnosed)}"
        )
    return wanted
