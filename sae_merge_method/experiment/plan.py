"""The arms of an experiment, and ``plan.json`` made from its settings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.diagnosis import diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.experiment_plan import (
    ARMS_FOLDER,
    RECIPE_FILE,
    ExperimentPlan,
    PlannedArm,
    read_plan,
    write_plan,
)
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.controls.arms import Arm
from sae_merge_method.controls.write import ControlSettings, write_controls
from sae_merge_method.energy.measure import MeasureSettings
from sae_merge_method.energy.run import EnergySettings, measure_energy
from sae_merge_method.errors import RecipeError
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.files.folders import scratch_folder
from sae_merge_method.files.writing import write_text
from sae_merge_method.layers import format_layers
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.recipe.from_diagnosis import write_recipe
from sae_merge_method.recipe.resolved import open_recipe
from sae_merge_method.saes.ranking import default_rank
from sae_merge_method.selection import parse_rule


class ArmAndRecipe(NamedTuple):
    """An arm, and the recipe that makes it; none where a model is evaluated as it is."""

    arm: PlannedArm
    recipe: str | None


def choose_arms(
    settings: ExperimentSettings, controls: list[Arm], recipe_of: Callable[[Arm], str], n_layers: int
) -> list[ArmAndRecipe]:
    """All arms to run: the base first, the pick second.

    Args:
        settings: What was asked for.
        controls: Every control there is.
        recipe_of: A control's recipe.
        n_layers: Of the base.

    Raises:
        RecipeError: A recipe of the user's that is of another base.
    """
    chosen = [_control(arm, recipe_of, n_layers) for arm in controls if settings.wants(arm.name)]
    chosen.sort(key=lambda one: {"base": 0, "pick": 1}.get(one.arm.role, 2))
    own = [_own(name, file, settings) for name, file in settings.own_recipes().items()]
    return chosen + own


def _control(arm: Arm, recipe_of: Callable[[Arm], str], n_layers: int) -> ArmAndRecipe:
    as_it_is = arm.role in ("base", "donor")
    planned = PlannedArm(
        name=arm.name,
        role=arm.role,
        says=_AS_IT_IS.get(arm.role, arm.controls_for),
        method=None if as_it_is else arm.method,
        layers=() if arm.role == "base" else arm.layers,
        energy=arm.energy,
    )
    return ArmAndRecipe(planned, None if as_it_is else recipe_of(arm))


_AS_IT_IS = {
    "base": "the base itself: where every other arm starts from",
    "donor": "the donor itself, embeddings and head included: the most the edit could give",
}


def _own(name: str, file: Path, settings: ExperimentSettings) -> ArmAndRecipe:
    text = read_recipe_text(file)
    resolved = open_recipe(text, str(file))
    recipe = resolved.recipe
    if resolved.base.folder.resolve() != _folder(settings.base):
        raise RecipeError(f"{file}: expected the experiment's base {settings.base}, got {recipe.base_model}")
    planned = PlannedArm(
        name=name,
        role="own",
        says=str(file),
        method=recipe.merge_method,
        layers=resolved.checked().layers,
        energy=None,
    )
    return ArmAndRecipe(planned, text)


def _folder(model: str) -> Path:
    return local_folder(parse_model_id(model)).resolve()


_SCALPELS = ("scalpel", "scalpel-random", "stethoscope-energy-matched")


class Planned(NamedTuple):
    """A plan, and the recipes of those of its arms that are to be merged."""

    plan: ExperimentPlan
    recipes: dict[str, str]
    """Text by name of the arm."""


def make_plan(
    settings: ExperimentSettings, diagnosis_at: Path, folder: Path, depends_on: Mapping[str, str]
) -> Planned:
    """Choose the arms and write their recipes in memory; nothing is kept on disk.

    Args:
        settings: What was asked for.
        diagnosis_at: The diagnosis, given or made.
        folder: The experiment's, for scratch space.
        depends_on: What the plan is made from, to be kept with it.

    Raises:
        SaeMergeError: Models, diagnosis, rule and recipes do not fit together.
    """
    diagnosis = read_diagnosis(diagnosis_path(diagnosis_at))
    pick = write_recipe(
        diagnosis_at, settings.base, settings.donor, parse_rule(settings.select), weight=settings.weight
    )
    wants_scalpels = any(settings.wants(name) for name in _SCALPELS)
    control_settings = ControlSettings(
        diagnosis=diagnosis_at,
        seeds=settings.random_layers,
        rank=settings.rank,
        scalpels=wants_scalpels,
        single_layers=settings.single_layers,
    )
    with scratch_folder(folder / "controls", "new") as scratch:
        controls = write_controls(pick.text, "the pick's recipe", scratch, control_settings)
        chosen = choose_arms(
            settings,
            controls,
            lambda arm: (scratch / f"{arm.name}.yml").read_text(encoding="utf-8"),
            pick.n_layers,
        )
    rank = settings.rank or default_rank(diagnosis.model.d_model)
    plan = ExperimentPlan(
        depends_on=dict(depends_on),
        base=settings.base,
        donor=settings.donor,
        n_layers=pick.n_layers,
        score=diagnosis.score,
        scores=diagnosis.scores(),
        select=settings.select,
        layers=pick.layers,
        weight=settings.weight,
        metric=settings.metric,
        alpha=settings.alpha,
        evaluation=_in_short(settings),
        task_vector_energy=next(arm.energy for arm in controls if arm.role == "donor"),
        projection=_projection(settings, diagnosis_at, pick.layers, rank) if wants_scalpels else None,
        arms=tuple(one.arm for one in chosen),
    )
    return Planned(plan, {arm.name: recipe for arm, recipe in chosen if recipe is not None})


def read_planned(folder: Path) -> Planned:
    """The plan that stands in a folder.

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


def _projection(
    settings: ExperimentSettings, diagnosis_at: Path, layers: tuple[int, ...], rank: int
) -> Energy:
    report = measure_energy(
        EnergySettings(
            base=settings.base,
            donor=settings.donor,
            diagnosis=diagnosis_at,
            scalpel=ScalpelParameters(diagnosis=str(diagnosis_at), rank=rank),
            measure=MeasureSettings(),
            layers=format_layers(layers),
        )
    )
    return report.total


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
