"""``sae-merge energy`` from end to end: two checkpoints and a diagnosis in, a report out."""

from pathlib import Path

from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path
from sae_merge_method.artifacts.energy_report import EnergyReport
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.energy.draws import Spans
from sae_merge_method.energy.measure import Gain, measure
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import UsageError
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.layers import format_layers, parse_layers
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.norms import gain_before
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
    layers = _layers(settings, tuple(diagnosis.layer_scores()), base.n_layers)
    donor = open_donor(settings.donor, layers, base, settings.base, settings.allow_mismatch)
    subspaces = Subspaces(_scalpel(settings, diagnosis), layers)
    subspaces.check()
    spans = Spans(subspaces, diagnosis_path(Path(settings.diagnosis)).parent, settings.draws, settings.seed)
    gain = _gains(base) if settings.reading == "folded" else None
    with one_blas_thread():
        measured = measure(task_vector(base, donor, layers), spans, axes, settings, gain, base)
    return EnergyReport(
        base=settings.base,
        donor=settings.donor,
        d_model=diagnosis.model.d_model,
        read_from=settings.read_from,
        reading=settings.reading,
        not_folded=tuple(measured.not_folded),
        seed=settings.seed,
        weight=settings.weight,
        rounding=settings.rounding,
        total=measured.total,
        layers=tuple(measured.layers),
        kinds=tuple(measured.kinds),
        left_out=tuple(measured.left_out),
    )


def _gains(base: Checkpoint) -> Gain:
    """The base's norm before each reading tensor."""
    parts = {entry.name: part for part, entry in base.layer_tensors.items()}

    return lambda pair: gain_before(base, parts[pair.name])


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
