"""What an earlier run of an experiment left, and whether it still stands."""

from collections.abc import Iterable
from pathlib import Path

from sae_merge_method.artifacts.experiment_plan import (
    ARM_FILE,
    ARMS_FOLDER,
    PLAN_FILE,
    ArmRecord,
    read_arm,
)
from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.evaluation.tasks import folders_asked
from sae_merge_method.experiment.evidence import ChosenBy
from sae_merge_method.experiment.plan import Planned, make_plan, read_planned
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.experiment.stamps import changed, of_recipe, of_recipe_saes
from sae_merge_method.experiment.worker import ArmJob, GeneralCorpus
from sae_merge_method.files.hashing import json_sha256
from sae_merge_method.files.stamps import EVALUATING
from sae_merge_method.identity.made_from import of_files, of_files_beside, of_packages, of_tasks
from sae_merge_method.layers import layers_of


def standing_plan(settings: ExperimentSettings, evidence: ChosenBy, folder: Path, overwrite: bool) -> Planned:
    """The plan that stands in ``folder``, if it is made from the same things and is whole; else a new one.

    Raises:
        ArtifactError: The plan there is damaged, and ``overwrite`` is off.
        SaeMergeError: Models, diagnosis, rule and recipes do not fit together.
    """
    depends_on = {
        "settings": json_sha256(settings.model_dump(mode="json", exclude={"evaluation", "general_loss"})),
        "evaluation": json_sha256(settings.evaluation.model_dump(mode="json")),
        "margin": json_sha256(settings.general_loss.margin if settings.general_loss else None),
        **evidence.stamps(),
        "base": of_files(settings.base),
        "donor": of_files(settings.donor),
        "own recipes": json_sha256({name: _own(file) for name, file in settings.own_recipes().items()}),
    }
    if (folder / PLAN_FILE).exists():
        try:
            standing = read_planned(folder)
        except ArtifactError:
            if not overwrite:
                raise
        else:
            if standing.plan.depends_on == depends_on and standing.is_whole():
                return standing
    return make_plan(settings, evidence, depends_on)


def _own(file: Path) -> dict[str, str]:
    """What of a recipe of the user's a plan depends on."""
    text = read_recipe_text(file)
    return {"recipe": json_sha256(text), **of_recipe(text, str(file))}


def jobs_of(
    settings: ExperimentSettings, planned: Planned, general: GeneralCorpus | None, folder: Path
) -> list[ArmJob]:
    """All arms of a plan, each with what its numbers depend on.

    Args:
        settings: Of the experiment.
        planned: Its plan.
        general: The text that damage is measured on.
        folder: Its folder: what it leaves there is no task, should it lie among the user's own.

    Raises:
        RecipeError: A recipe of the user's cannot be read.
        SaeMergeError: What it names is not there.
    """
    plan = planned.plan
    common = {
        "base": plan.depends_on["base"],
        "donor": plan.depends_on["donor"],
        "evaluation": plan.depends_on["evaluation"],
        **of_tasks(folders_asked(settings.evaluation), without=folder),
        "general text": json_sha256([general.sha256, general.documents] if general else None),
        **of_packages(EVALUATING),
    }
    models = {"base": plan.base, "donor": plan.donor}
    beside = {model: of_files_beside(model) for model in models.values()}
    jobs = []
    for arm in plan.arms:
        recipe = planned.recipes.get(arm.name)
        model = models[arm.role] if recipe is None else None
        depends_on = {**common, **beside[model or plan.base], "recipe": json_sha256(recipe)}
        if arm.role == "own" and recipe is not None:
            depends_on |= of_recipe(recipe, arm.description)
            depends_on |= of_recipe_saes(recipe, arm.description, layers_of(arm.layers))
        jobs.append(ArmJob(arm, model, json_sha256(depends_on), depends_on))
    return jobs


def is_done(folder: Path, arm: str) -> bool:
    """Whether an arm has its record."""
    return (folder / ARMS_FOLDER / arm / ARM_FILE).exists()


def not_done(jobs: Iterable[ArmJob], folder: Path, overwrite: bool) -> list[ArmJob]:
    """The jobs to do, in their turn; one that was done from other things is done again where told.

    Raises:
        UsageError: It is not to be done again.
        ArtifactError: The record of one is damaged, and ``overwrite`` is off.
    """
    waiting = []
    for job in jobs:
        done = _record(folder, job.arm.name, overwrite)
        others = [] if done is None else changed(done.depends_on, job.depends_on)
        if done is not None and not others:
            continue
        if done is not None and not overwrite:
            parts = ", ".join(others)
            raise UsageError(
                f"the arm {job.arm.name} in {folder} was made from other things than now asked for "
                f"({parts} differ): name another folder, or pass --overwrite to run it again"
            )
        waiting.append(job)
    return sorted(waiting, key=_turn)


def _record(folder: Path, arm: str, overwrite: bool) -> ArmRecord | None:
    """What an arm has left; None where it is not done, or so damaged that it is to be done again."""
    if not is_done(folder, arm):
        return None
    try:
        return read_arm(folder / ARMS_FOLDER / arm)
    except ArtifactError:
        if not overwrite:
            raise
        return None


def _turn(job: ArmJob) -> tuple[int, int]:
    """Base and pick first; then by the first layer, where passes begin to differ; other models last."""
    if job.arm.role in ("base", "selected"):
        return (0, 0)
    return (1, min(layers_of(job.arm.layers), default=0)) if job.model is None else (2, 0)
