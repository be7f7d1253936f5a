"""From one stethoscope recipe, a folder of arms: each a recipe that both doors can run."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.method_parameters import Scalar, ScalpelParameters
from sae_merge_method.artifacts.recipe import CONTROL_KEY, DIAGNOSIS_KEY, Control
from sae_merge_method.controls.arms import SCALPEL, STETHOSCOPE, Arm, Given, make_arms
from sae_merge_method.controls.layer_sets import LayerEnergies, measure_energies, overlap
from sae_merge_method.errors import RecipeError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.writing import write_text
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.layers import format_layers
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.mergekit_layout import module_names
from sae_merge_method.models.task_vector import task_vector
from sae_merge_method.recipe.mergekit_form import guarded_form, recipe_text
from sae_merge_method.recipe.methods import validated_parameters
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.recipe.preflight import check_donors, check_family
from sae_merge_method.recipe.resolved import ResolvedRecipe, open_recipe
from sae_merge_method.recipe.subspaces import Subspaces
from sae_merge_method.saes.ranking import default_rank

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ControlSettings:
    """What can be chosen."""

    diagnosis: Path | None = None
    """Instead of the one the recipe names."""
    seeds: int = 5
    """Random sets of layers."""
    rank: int | None = None
    """Of the scalpel arms; d/40 where None."""
    scalpels: bool = True
    """Whether to write the scalpel arms, which read the SAEs."""
    single_layers: bool = False
    """Whether to write an arm for each layer alone."""


def write_controls(
    source: str, where: str, out: Path, settings: ControlSettings, *, overwrite: bool = False
) -> list[Arm]:
    """Measure the task vector, make the arms, write a recipe for each.

    Args:
        source: The stethoscope recipe's YAML text.
        where: How messages name it.
        out: Folder for the arms; appears whole or not at all.
        settings: What can be chosen.
        overwrite: Replace a folder that stands there.

    Raises:
        SaeMergeError: The recipe is of another method, names several donors or uneven weights, or
            anything it refers to is missing or does not fit.
    """
    resolved = open_recipe(source, where)
    if resolved.recipe.merge_method != STETHOSCOPE:
        raise RecipeError(f"{where}: expected a recipe of {STETHOSCOPE}, got {resolved.recipe.merge_method}")
    base, layers, plan = resolved.base, resolved.layers, resolved.plan
    donation = _the_donation(plan, where)
    path, diagnosis = resolved.any_diagnosis(settings.diagnosis)
    donor = open_model(donation.model)
    every = tuple(range(base.n_layers))
    check_family(base, {donation.model: donor})
    whole = EditPlan(STETHOSCOPE, plan.base, dict.fromkeys(every, (donation,)), None)
    check_donors(whole, base, {donation.model: donor})
    scalpel: dict[str, Scalar] | None = None
    if settings.scalpels:
        scalpel = {"diagnosis": str(path), "rank": settings.rank or default_rank(diagnosis.model.d_model)}
    with one_blas_thread():
        energies = measure_energies(
            task_vector(base, donor, every),
            donation,
            _subspaces(scalpel, layers) if scalpel else {},
            layers,
            len(base.layer_tensors),
        )
    if not energies.of(layers):
        raise RecipeError(
            f"{where}: nothing is injected in layers {format_layers(layers)}: tau or weight is 0"
        )
    given = Given(
        selected=layers,
        n_layers=base.n_layers,
        energies=energies,
        scores=diagnosis.scores(),
        scalpel=scalpel,
        seeds=settings.seeds,
        single_layers=settings.single_layers,
    )
    arms = make_arms(given)
    _say_what_is_missing(arms, layers, base.n_layers)
    with new_folder(out, overwrite=overwrite) as folder:
        for arm in arms:
            write_text(folder / f"{arm.name}.yml", _text(arm, donation, resolved, energies))
    return arms


def _text(arm: Arm, donation: Donation, resolved: ResolvedRecipe, energies: LayerEnergies) -> str:
    recipe, base, plan = resolved.recipe, resolved.base, resolved.plan
    form = guarded_form(arm.plan(plan, donation), base.n_layers, module_names(base))
    for key in ("dtype", "out_dtype", "tokenizer_source", "chat_template"):
        if getattr(recipe, key) is not None:
            form[key] = getattr(recipe, key)
    mine = energies.of(plan.layers)
    note = (
        f"# {arm.name}: controls for {arm.controls_for}.\n"
        f"# Injected energy {arm.energy:.6g}, {arm.energy / mine:.4g} of the stethoscope's, "
        f"{arm.energy / sum(energies.task_vector.values()):.4g} of the whole task vector's.\n"
        f"# Layers {format_layers(arm.layers)} of {base.n_layers}; {overlap(arm.layers, plan.layers)} of the "
        f"{len(plan.layers)} selected ones ({format_layers(plan.layers)}) among them.\n"
    )
    if arm.whole_donor:
        note += (
            "# Embeddings, final norm and head stay the base's; where the donor's differ, evaluate the\n"
            "# donor itself as well.\n"
        )
    control = Control(
        name=arm.name, controls_for=arm.controls_for, energy=arm.energy, stethoscope_energy=mine
    )
    record: dict[str, Any] = {CONTROL_KEY: control.model_dump()}
    if recipe.sae_diagnosis is not None:
        record[DIAGNOSIS_KEY] = recipe.sae_diagnosis
    return recipe_text(
        note, form, record, "What this arm is for, and what the recipe's layers were chosen from."
    )


def _the_donation(plan: EditPlan, where: str) -> Donation:
    given = set(plan.donations.values())
    if len(given) != 1 or len(next(iter(given))) != 1:
        raise RecipeError(
            f"{where}: controls need one donor with the same weight in every selected layer; the recipe has "
            f"{len(plan.donors)} donors and {len(given)} different weights"
        )
    return next(iter(given))[0]


def _subspaces(scalpel: dict[str, Scalar], layers: tuple[int, ...]) -> dict[str, Subspaces]:
    found = {}
    for mode in ("project", "random"):
        parameters = validated_parameters(SCALPEL, {**scalpel, "mode": mode})
        assert isinstance(parameters, ScalpelParameters)
        found[mode] = Subspaces(parameters, layers)
        found[mode].check()
    return found


def _say_what_is_missing(arms: list[Arm], selected: tuple[int, ...], n_layers: int) -> None:
    names = {arm.name for arm in arms}
    if len(selected) == n_layers:
        LOG.warning("the recipe opens every layer: there are no other layers to control with")
    elif "lowest-specificity" not in names:
        LOG.warning("fewer layers were diagnosed than the recipe opens: no arm lowest-specificity")
