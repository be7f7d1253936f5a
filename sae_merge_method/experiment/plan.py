"""The arms of an experiment, and ``plan.json`` made from its settings."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.experiment_plan import (
    ARMS_FOLDER,
    RECIPE_FILE,
    ExperimentPlan,
    read_plan,
    write_plan,
)
from sae_merge_method.artifacts.recipe import RecipeText, read_recipe_text
from sae_merge_method.controls.settings import ControlSettings, numbers_of
from sae_merge_method.controls.unit_sets import opens_parts
from sae_merge_method.controls.write import ControlRecipe, Controls, make_controls
from sae_merge_method.energy.run import energy
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import RecipeError
from sae_merge_method.experiment.evidence import ChosenBy
from sae_merge_method.experiment.settings import HARM_MARGIN, ExperimentSettings
from sae_merge_method.files.writing import write_text
from sae_merge_method.layers import Unit, format_layers
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, make_recipe
from sae_merge_method.recipe.resolved import open_recipe


class Planned(NamedTuple):
    """A plan, and the recipes of those of its arms that are to be merged."""

    plan: ExperimentPlan
    recipes: dict[str, str]
    """Text by name of the arm; an arm without one is a model that is evaluated as it is."""

    def is_whole(self) -> bool:
        """Whether the recipes are those that were planned, and all are there."""
        return _hashes(self.recipes) == self.plan.recipes


def make_plan(settings: ExperimentSettings, evidence: ChosenBy, depends_on: Mapping[str, str]) -> Planned:
    """Choose the arms and write their recipes in memory; nothing is kept on disk.

    Args:
        settings: What was asked for.
        evidence: What layers are chosen by, given or made.
        depends_on: What the plan is made from, to be kept with it.

    Raises:
        SaeMergeError: Models, diagnosis, rule and recipes do not fit together.
    """
    score, scores = evidence.scored()
    diagnosis_at = None if evidence.diagnosis is None else str(evidence.diagnosis)
    pick = make_recipe(
        RecipeSettings(
            diagnosis=str(evidence.chosen_from),
            base=settings.base,
            donor=settings.donor,
            select=settings.select,
            score=evidence.score,
            weight=settings.weight,
            rounding=settings.rounding,
            rounding_seed=settings.rounding_seed,
            out_dtype=settings.out_dtype,
            allow_mismatch=settings.allow_mismatch,
        )
    )
    controls = make_controls(
        open_recipe(RecipeText(pick.text, "the pick's recipe")),
        ControlSettings(
            diagnosis=diagnosis_at,
            arms=settings.controls(),
            rank=settings.rank,
            allow_mismatch=settings.allow_mismatch,
            **numbers_of(settings, pick.n_layers),
        ),
    )
    if evidence.score is not None:
        controls = _named_by(controls, f"{settings.select} of {score}, which knows the donor")
    recipes = {one.arm.name: one.text for one in controls.recipes if one.kind.as_it_is is None}
    arms = sorted(map(_as_evaluated, controls.recipes), key=lambda arm: _FIRST.get(arm.role, len(_FIRST)))
    for name, file in settings.own_recipes().items():
        recipes[name] = read_recipe_text(file)
        arms.append(_own(name, file, recipes[name], settings))
    has_scalpel = any(one.kind.measures for one in controls.recipes)
    plan = ExperimentPlan(
        depends_on=dict(depends_on),
        base=settings.base,
        donor=settings.donor,
        n_layers=pick.n_layers,
        score=score,
        scores=dict(scores),
        select=settings.select,
        layers=pick.layers,
        among=controls.among,
        weight=settings.weight,
        metric=settings.metric,
        test=settings.test,
        alpha=settings.alpha,
        curve_margin=settings.curve_margin,
        harm_margin=settings.general_loss.margin if settings.general_loss else HARM_MARGIN,
        evaluation=_in_short(settings),
        task_vector_energy=controls.task_vector_energy,
        projection=_projection(settings, diagnosis_at, pick.layers) if has_scalpel and diagnosis_at else None,
        arms=tuple(arms),
        recipes=_hashes(recipes),
    )
    return Planned(plan, recipes)


def _hashes(recipes: Mapping[str, str]) -> dict[str, str]:
    return {name: sha256(text.encode()).hexdigest() for name, text in recipes.items()}


def _named_by(controls: Controls, chosen: str) -> Controls:
    """The same with the pick's arm described by what chose its layers."""
    recipes = [
        one._replace(arm=one.arm.model_copy(update={"description": f"{one.arm.description}: {chosen}"}))
        if one.arm.role == "selected"
        else one
        for one in controls.recipes
    ]
    return controls._replace(recipes=tuple(recipes))


_FIRST = {"base": 0, "selected": 1}
"""Where arms of a role stand in a plan; the others follow in the order of their table."""


def _as_evaluated(control: ControlRecipe) -> ArmIdentity:
    """The arm as an experiment runs it: a model that can be had as it is, is not merged."""
    if control.kind.as_it_is is None:
        return control.arm
    same = () if control.arm.planned_energy == 0 else control.arm.layers
    return control.arm.model_copy(
        update={"description": control.kind.as_it_is, "method": None, "layers": same}
    )


def _own(name: str, file: Path, text: str, settings: ExperimentSettings) -> ArmIdentity:
    opened = open_recipe(RecipeText(text, str(file)))
    if opened.base.folder.resolve() != local_folder(parse_model_id(settings.base)).resolve():
        raise RecipeError(
            f"{file}: expected the experiment's base {settings.base}, got {opened.recipe.base_model}"
        )
    return ArmIdentity(
        name=name,
        role="own",
        description=str(file),
        method=opened.recipe.merge_method,
        layers=opened.checked().layers,
        weight=None,
        planned_energy=None,
        planned_realised=None,
        matched=None,
    )


def _projection(settings: ExperimentSettings, diagnosis_at: str, layers: tuple[Unit, ...]) -> Energy | None:
    """What the scalpel's span keeps in the selected layers; None where some are selected in part."""
    if opens_parts(layers):
        return None
    return energy(
        EnergySettings(
            base=settings.base,
            donor=settings.donor,
            diagnosis=diagnosis_at,
            rank=settings.rank,
            layers=format_layers(layers),
            weight=settings.weight,
            rounding=settings.rounding,
            allow_mismatch=settings.allow_mismatch,
        )
    ).total


def read_planned(folder: Path) -> Planned:
    """The plan that stands in a folder, and those of its recipes that are there.

    Raises:
        ArtifactError: There is none, or it is damaged.
    """
    plan = read_plan(folder)
    files = {arm.name: folder / ARMS_FOLDER / arm.name / RECIPE_FILE for arm in plan.arms}
    return Planned(plan, {name: read_recipe_text(file) for name, file in files.items() if file.exists()})


def write_planned(folder: Path, planned: Planned) -> None:
    """Write recipes and plan; the plan comes last: with it, all recipes are there."""
    for name, recipe in planned.recipes.items():
        write_text(folder / ARMS_FOLDER / name / RECIPE_FILE, recipe)
    write_plan(folder, planned.plan)


def _in_short(settings: ExperimentSettings) -> dict[str, str | int | float | bool | None]:
    """How lm-eval is called, in plain values; what was left alone is left out."""
    asked = settings.evaluation.model_dump(mode="json", exclude_defaults=True)
    asked = {"model": settings.evaluation.model, "tasks": list(settings.evaluation.tasks), **asked}
    return {name: _plain(value) for name, value in asked.items()}


def _plain(value: object) -> str | int | float | bool | None:
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return value if isinstance(value, (str, int, float, bool)) else None
