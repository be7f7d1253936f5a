"""The arms of an experiment: the controls of its pick, and the user's own recipes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.experiment_plan import PlannedArm
from sae_merge_method.artifacts.recipe import Recipe, parse_recipe, read_recipe_text
from sae_merge_method.controls.arms import Arm
from sae_merge_method.edit.gate import open_layers
from sae_merge_method.errors import RecipeError
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.model_ids import local_folder, parse_model_id


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
    own = [_own(name, file, settings, n_layers) for name, file in settings.own_recipes().items()]
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


def _own(name: str, file: Path, settings: ExperimentSettings, n_layers: int) -> ArmAndRecipe:
    text = read_recipe_text(file)
    recipe = parse_recipe(text, str(file))
    if _folder(recipe.base_model) != _folder(settings.base):
        raise RecipeError(f"{file}: expected the experiment's base {settings.base}, got {recipe.base_model}")
    layers = _layers(recipe, n_layers)
    planned = PlannedArm(
        name=name, role="own", says=str(file), method=recipe.merge_method, layers=layers, energy=None
    )
    return ArmAndRecipe(planned, text)


def _layers(recipe: Recipe, n_layers: int) -> tuple[int, ...]:
    gate = recipe.parameters
    return open_layers(gate.layers, gate.diagnosis, gate.select, n_layers)


def _folder(model: str) -> Path:
    at = parse_model_id(model)
    return local_folder(at.path, at.revision).resolve()
