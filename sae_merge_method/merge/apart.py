"""``--overwrite`` must not take away what the recipe itself reads: models, scores, SAEs, its own file."""

from collections.abc import Iterator
from pathlib import Path

from sae_merge_method.artifacts.recipe import RECIPE_FILE, AnyRecipe, RecipeText
from sae_merge_method.errors import UsageError
from sae_merge_method.layers import layers_of
from sae_merge_method.merge.job import Job
from sae_merge_method.models.hub import parse_model_id
from sae_merge_method.recipe.methods import folders_of
from sae_merge_method.recipe.pin import models_of


def require_apart(job: Job, recipe: AnyRecipe, out: Path) -> None:
    """Make sure that a folder which will be replaced is, and holds, nothing that the recipe reads.

    Args:
        job: The recipe, made ready to run.
        recipe: The same as its user named it.
        out: What is to be replaced.

    Raises:
        UsageError: It does; the message names what.
        SaeError: SAEs that were there a moment ago are not.
    """
    if not out.exists():
        return
    for place in (*_models(job), *_scores(job), *_saes(job), *_own_file(job, recipe, out)):
        if place.exists() and _holds(out, place):
            hint = " (--in-place edits the base itself)" if place == job.base.folder else ""
            raise UsageError(
                f"{out} is, or holds, {place}, which the recipe reads: name another folder{hint}"
            )


def _holds(out: Path, place: Path) -> bool:
    whole = place.resolve()
    return any(out.samefile(each) for each in (whole, *whole.parents))


def _models(job: Job) -> Iterator[Path]:
    """Folders of models and adapters, those in the Hub's cache too.

    A donor with an adapter is by now a checkpoint in a folder of our own: the recipe's names tell the others.
    """
    yield job.base.folder
    for name in models_of(job.resolved.recipe):
        yield from (part.folder for part in parse_model_id(name).parts if part.folder is not None)
    for checkpoint in job.checkpoints:
        yield from dict.fromkeys(file.parent for file in checkpoint.files)


def _scores(job: Job) -> Iterator[Path]:
    """What the gate and the method read, and what the recipe says that it was made from."""
    resolved = job.resolved
    record = resolved.recipe.sae_evidence or {}
    named = (resolved.recipe.parameters.diagnosis, record.get("path"), record.get("attribution"))
    yield from (Path(path) for path in named if isinstance(path, str))
    if resolved.attribution is not None:
        yield resolved.attribution.path
    if resolved.diagnosis is not None:
        yield resolved.diagnosis.path


def _saes(job: Job) -> Iterator[Path]:
    yield from folders_of(job.resolved.recipe, layers_of(job.resolved.layers))


def _own_file(job: Job, recipe: AnyRecipe, out: Path) -> Iterator[Path]:
    """The recipe's file, unless the result brings it back: a merge's own copy, merged again."""
    if isinstance(recipe, RecipeText):
        return
    file = Path(recipe)
    is_copy = file.exists() and (out / RECIPE_FILE).exists() and file.samefile(out / RECIPE_FILE)
    if not (is_copy and job.options.get("write_model_card", True)):
        yield file
