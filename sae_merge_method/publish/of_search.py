"""A search for the best edit as a model's card shows it, once the model is known to be what it found.

Models have several spellings: a recipe that was pinned since, or whose folders are written otherwise, is
still the one that was found.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from sae_merge_method.artifacts import tune
from sae_merge_method.artifacts.recipe import read_recipe_text
from sae_merge_method.errors import ArtifactError
from sae_merge_method.models.hub import is_same_model, parse_model_id
from sae_merge_method.publish.hub_names import is_on_the_hub
from sae_merge_method.publish.measured import report_section, unmatched_words
from sae_merge_method.publish.of_base import require_searched_base
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.pin import models_of, rename


def tune_section(path: Path, unmatched: str | None = None) -> str:
    """The report of a search for the best edit.

    Args:
        path: Its folder.
        unmatched: Why nobody can tell that this model is its winner, or None where it is.

    Raises:
        ArtifactError: There is none.
    """
    words = unmatched_words(unmatched)
    return report_section("How the weights were found", path / tune.TABLE_FILE, words)


def unmatched_tune(
    path: Path, merged: MergedFolder, base: str | None = None, donors: Sequence[str] = ()
) -> str | None:
    """Why it cannot be told that a model was merged by the recipe that a search found; None where it was.

    Args:
        path: The search's folder.
        merged: The model.
        base: How its base is called, too; None for the recipe's name alone.
        donors: How its donors are called, in the recipe's order; none for the recipe's names alone.

    Raises:
        ArtifactError: It is another recipe, or of other models or a base of other weights, or there is no
            search.
    """
    tuned, file = tune.read_tune(path), path / tune.RECIPE_FILE
    require_searched_base(merged, tuned)
    if not file.is_file():
        return f"there is no {tune.RECIPE_FILE} in {path}, which says what was found"
    text = read_recipe_text(file)
    if sha256(text.encode()).hexdigest() != tuned.recipe_sha256:
        return f"{file} was changed after the search"
    searched, own = models_of(parse_recipe(text, str(file))), models_of(merged.recipe)
    alike = rename(text, dict(zip(searched, own, strict=False)))
    if len(searched) != len(own) or parse_recipe(alike, str(file)) != merged.recipe:
        raise ArtifactError(f"the search {path} found another recipe than this folder was merged by")
    called = (base, *donors, *(None for _ in own))
    for one, other, better in zip(searched, own, called, strict=False):
        if is_same_model(one, other) or (better is not None and is_same_model(one, better)):
            continue
        words = f"the search {path} was of {one}, this folder was merged from {other}"
        if _has_one_name(one) and _has_one_name(other):
            raise ArtifactError(words)
        how = " (--base and --donor say a folder's Hub id)" if _has_one_name(one) else ""
        return f"{words}, and nobody can tell that they are one model{how}"
    return None


def _has_one_name(model: str) -> bool:
    """Whether all parts of a model are the Hub's, where another name is another model."""
    return all(map(is_on_the_hub, parse_model_id(model).parts))
