"""``sae-merge energy`` from end to end: two checkpoints and a diagnosis in, a report out."""

from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.energy_report import EnergyReport
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.energy.measure import MeasureSettings, measure
from sae_merge_method.errors import UsageError
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.layers import format_layers, parse_layers
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.task_vector import task_vector
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.recipe.preflight import check_donors, check_family, open_diagnosis
from sae_merge_method.recipe.subspaces import Subspaces


@dataclass(frozen=True)
class EnergySettings:
    """One run of ``sae-merge energy``."""

    base: str
    donor: str
    diagnosis: Path
    scalpel: ScalpelParameters
    """Whose subspace is measured."""
    measure: MeasureSettings
    layers: str | None = None
    """Layers to measure; all that were diagnosed where None."""


def measure_energy(settings: EnergySettings) -> EnergyReport:
    """Stream the task vector of ``donor`` over ``base`` and measure it.

    Raises:
        SaeMergeError: The diagnosis is of another model, the donor does not fit the base, or an
            SAE cannot be read.
    """
    base, donor = (open_model(name) for name in (settings.base, settings.donor))
    diagnosis = open_diagnosis(settings.diagnosis, base, settings.base).content
    layers = _layers(settings, tuple(diagnosis.scores()), base.n_layers)
    whole = dict.fromkeys(layers, (Donation(settings.donor, ((None, 1.0),)),))
    plan = EditPlan("sae_scalpel", settings.base, whole, dtype=None)
    check_family(base, {settings.donor: donor})
    check_donors(plan, base, {settings.donor: donor})
    subspaces = Subspaces(settings.scalpel, layers)
    subspaces.check()
    with one_blas_thread():
        measured = measure(task_vector(base, donor, layers), subspaces, settings.measure)
    return EnergyReport(
        base=settings.base,
        donor=settings.donor,
        d_model=diagnosis.model.d_model,
        read_from=settings.scalpel.read_from,
        seed=settings.measure.seed,
        total=measured.total,
        layers=tuple(measured.layers),
        kinds=tuple(measured.kinds),
        left_out=tuple(measured.left_out),
    )


def _layers(settings: EnergySettings, heard: tuple[int, ...], n_layers: int) -> tuple[int, ...]:
    if settings.layers is None:
        return heard
    wanted = parse_layers(settings.layers, n_layers)
    deaf = sorted(set(wanted) - set(heard))
    if deaf:
        raise UsageError(
            f"--layers: {format_layers(deaf)} were not diagnosed; the diagnosis has {format_layers(heard)}"
        )
    return wanted
