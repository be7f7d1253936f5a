"""From one stethoscope recipe, the recipes of its controls: each can be run through both doors."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.artifacts.arm import OTHER_LAYERS, ArmIdentity
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.artifacts.recipe import CONTROL_KEY, EVIDENCE_KEY, AnyRecipe, Control
from sae_merge_method.controls.arms import ARMS, asked_for
from sae_merge_method.controls.donation import the_donation
from sae_merge_method.controls.energies import measure_energies
from sae_merge_method.controls.evidence import evidence_of, without_scalpels
from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.kinds import ArmKind, matches_of
from sae_merge_method.controls.rivals import drawn_among
from sae_merge_method.controls.settings import ControlSettings, numbers_of
from sae_merge_method.controls.unit_sets import Units
from sae_merge_method.errors import RecipeError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.writing import write_text
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.layers import format_layers, layers_of, named_units, open_parts
from sae_merge_method.models.task_vector import task_vector
from sae_merge_method.recipe.mergekit_form import guarded_form, recipe_text
from sae_merge_method.recipe.methods import validated_parameters
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.recipe.precision import precision_of
from sae_merge_method.recipe.preflight import check_donors, check_dtype, open_donor
from sae_merge_method.recipe.resolved import ResolvedRecipe, open_recipe
from sae_merge_method.recipe.subspaces import Subspaces

LOG = logging.getLogger(__name__)

CONTROLLED = "sae_stethoscope"
"""Merge method of the recipes that controls are made for."""


class ControlRecipe(NamedTuple):
    """One arm and the recipe that makes it."""

    kind: ArmKind
    arm: ArmIdentity
    text: str


class Controls(NamedTuple):
    """All arms that were asked for, in the table's order."""

    recipes: tuple[ControlRecipe, ...]
    task_vector_energy: float
    """Squared norm of donor minus base over all decoder layers."""
    among: tuple[int, ...] | None
    """Layers that random rivals are drawn from, in which the donor changes what the recipe opens; None for
    all."""


def write_controls(
    recipe: AnyRecipe, out: str | Path, settings: ControlSettings | None = None, *, overwrite: bool = False
) -> tuple[ArmIdentity, ...]:
    """Write the controls of a recipe into a folder, ``<name of the arm>.yml`` each.

    Args:
        recipe: A stethoscope recipe.
        out: Folder for the arms; appears whole or not at all.
        settings: Which controls; those of the defaults unless given.
        overwrite: Replace a folder that stands there.

    Raises:
        SaeMergeError: See :func:`make_controls`.
    """
    with new_folder(Path(out), overwrite=overwrite) as folder:
        controls = make_controls(open_recipe(recipe), settings or ControlSettings())
        for _, arm, text in controls.recipes:
            write_text(folder / f"{arm.name}.yml", text)
    return tuple(arm for _, arm, _ in controls.recipes)


def make_controls(recipe: ResolvedRecipe, settings: ControlSettings) -> Controls:
    """Measure the task vector, make the arms, and a recipe for each; nothing is written.

    Args:
        recipe: A stethoscope recipe on its base.
        settings: Which controls.

    Raises:
        SaeMergeError: The recipe is of another method, names several donors or uneven weights, or
            anything it refers to is missing or does not fit.
    """
    method = recipe.recipe.merge_method
    if method != CONTROLLED:
        raise RecipeError(f"{recipe.where}: expected a recipe of {CONTROLLED}, got {method}")
    kinds = [ARMS[name] for name in asked_for(settings.arms or None, settings)]
    base, layers, donation = recipe.base, recipe.layers, the_donation(recipe)
    check_dtype(recipe.plan, base)
    evidence = evidence_of(recipe, settings)
    if not evidence.scalpel:
        kinds = without_scalpels(kinds, evidence.no_scalpel)
    every = range(base.n_layers)
    donor = open_donor(donation.model, every, base, recipe.recipe.base_model, settings.allow_mismatch)
    check_donors(recipe.plan, base, {donation.model: donor})
    modes = dict.fromkeys(mode for kind in kinds for mode in kind.measures)
    with one_blas_thread():
        energies = measure_energies(
            task_vector(base, donor, every),
            donation,
            {mode: _subspaces({**evidence.scalpel, "mode": mode}, layers) for mode in modes},
            layers,
            base,
        )
    if not energies.of(layers):
        raise RecipeError(f"{recipe.where}: nothing is injected in {named_units(layers)}: tau or weight is 0")
    ground = Ground(
        layers,
        base.n_layers,
        energies,
        evidence.scores,
        evidence.scalpel,
        weight=donation.weights[0][1] if len(donation.weights) == 1 else None,
        alpha=donation.alpha,
        precision=precision_of(recipe.recipe, base.dtypes(), recipe.recipe.target_dtype),
        **numbers_of(settings, base.n_layers),
    )
    ground = replace(ground, matches=matches_of(kinds, ARMS, ground))
    recipes = [
        ControlRecipe(kind, arm, _text(kind, arm, ground, donation, recipe))
        for kind, arm in _arms(kinds, ground)
    ]
    return Controls(tuple(recipes), energies.whole, drawn_among(ground))


def _arms(kinds: Iterable[ArmKind], ground: Ground) -> list[tuple[ArmKind, ArmIdentity]]:
    """The arms of all kinds that this recipe can have; of the others it is said why it cannot."""
    arms: list[tuple[ArmKind, ArmIdentity]] = []
    absent: dict[str, list[str]] = {}
    for kind in kinds:
        try:
            made = kind.arms(ground)
            # The others keep their numbers.
            idle = [arm.name for arm in made if kind.role in OTHER_LAYERS and not arm.planned_energy]
            arms += [(kind, arm) for arm in made if arm.name not in idle]
            absent.setdefault(_IDLE, []).extend(idle)
        except NoArmError as reason:
            absent.setdefault(str(reason), []).append(kind.name)
    for why, names in absent.items():
        if names:
            LOG.warning("no arm %s: %s", ", ".join(names), why)
    return arms


_IDLE = "the donor changes nothing there, so it would be the base"


def _text(
    kind: ArmKind, arm: ArmIdentity, ground: Ground, donation: Donation, resolved: ResolvedRecipe
) -> str:
    injected = donation.scaled(kind.times(ground, arm.name, arm.layers))
    if kind.weights is not None and arm.weight is not None:
        injected = Donation(donation.model, ((None, arm.weight),))
    plan = EditPlan(
        kind.method,
        resolved.plan.base,
        dict.fromkeys(layers_of(arm.layers), (injected,)),
        None,
        kind.parameters(ground),
        resolved.plan.rounding,
        open_parts(arm.layers),
    )
    form = guarded_form(plan, resolved.base)
    for key in ("dtype", "out_dtype", "tokenizer_source", "chat_template"):
        if getattr(resolved.recipe, key) is not None:
            form[key] = getattr(resolved.recipe, key)
    if resolved.recipe.tokenizer is not None:
        form["tokenizer"] = resolved.recipe.tokenizer.model_dump()
    if arm.matched == "float32":
        form.update(dtype="float32", out_dtype="float32")
    control = Control(
        name=arm.name,
        controls_for=arm.description,
        energy=arm.planned_energy or 0.0,
        realised_energy=arm.planned_realised.energy if arm.planned_realised else None,
        stethoscope_energy=ground.energy,
    )
    record: dict[str, Any] = {CONTROL_KEY: control.model_dump()}
    if resolved.recipe.sae_evidence is not None:
        record[EVIDENCE_KEY] = resolved.recipe.sae_evidence
    return recipe_text(
        _note(kind, control, arm, ground),
        form,
        record,
        "What this arm is for, and what the recipe's layers were chosen from.",
    )


def _note(kind: ArmKind, control: Control, arm: ArmIdentity, ground: Ground) -> list[str]:
    """The comments that open a control's recipe."""
    layers, shared = arm.layers, len({*arm.layers} & {*ground.selected})
    note = [
        f"{control.name}: controls for {control.controls_for}.",
        f"Injected energy {control.energy:.6g}, {control.energy / ground.energy:.4g} of the stethoscope's, "
        f"{control.energy / ground.energies.whole:.4g} of the whole task vector's.",
        f"{named_units(layers, ground.n_layers).capitalize()}; {shared} of the "
        f"{len(ground.selected)} selected ones ({format_layers(ground.selected)}) among them.",
    ]
    stored = arm.planned_realised
    if stored is not None and stored.share is not None:
        cosine = "" if stored.cosine is None else f", cosine {stored.cosine:.2f}"
        note.append(
            f"Rounding is expected to leave {stored.share:.1%} of it{cosine} (from a sample of each tensor)."
        )
    if arm.matched is not None:
        note.append(f"{_MATCHED[arm.matched]} {kind.is_like(ground)}'s.")
    if kind.role == "donor":
        note += [
            "Embeddings, final norm and head stay the base's; where the donor's differ, evaluate the",
            "donor itself as well.",
        ]
    return note


_MATCHED = {
    "realised": "Scaled until the energy of what is stored is",
    "intended": "Scaled until the energy of what is to be added, which rounding keeps on average, is",
    "float32": "Written as float32, as no factor would give what is rounded the energy of",
}


def _subspaces(parameters: dict[str, Any], layers: Units) -> Subspaces:
    scalpel = validated_parameters("sae_scalpel", parameters)
    assert isinstance(scalpel, ScalpelParameters)
    subspaces = Subspaces(scalpel, layers_of(layers))
    subspaces.check()
    return subspaces
