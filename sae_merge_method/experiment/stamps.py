"""What of SAEs and recipes an experiment's files are made from, and what of all is another now."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.hashing import file_sample, file_sha256, json_sha256
from sae_merge_method.identity.made_from import BESIDE, TASKS, Parts, of_files
from sae_merge_method.recipe.gate import scores_file
from sae_merge_method.recipe.methods import folders_of, parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.saes.formats import format_of_folder

SAES = "SAEs"
_WHERE_BOTH_TELL = (BESIDE, SAES, TASKS)
"""Parts that older versions did not tell, or of SAEs that are gone by now, or of tasks that nobody asks: what
was made stands."""


def of_saes(folders: Iterable[Path]) -> Parts:
    """Tells SAEs in folders from others by what is in their files; those of a release are told by its name.

    Args:
        folders: By layer.
    """
    kinds = ((folder, format_of_folder(folder)) for folder in folders)
    saes = [[file_sample(folder / file) for file in kind.files] for folder, kind in kinds if kind is not None]
    return {SAES: json_sha256(saes)} if saes else {}


def of_recipe_saes(text: str, where: str, layers: Sequence[int]) -> Parts:
    """The SAEs in folders that a recipe's method reads, while they are there.

    Args:
        text: The recipe.
        where: How messages name it.
        layers: The layers that it edits.
    """
    try:
        return of_saes(folders_of(parse_recipe(text, where), layers))
    except SaeMergeError:
        return {}


def of_recipe(text: str, where: str) -> Parts:
    """What a recipe reads beside its base: its donors, and the file whose scores compute its gate.

    Args:
        text: The recipe.
        where: How messages name it.

    Raises:
        RecipeError: It cannot be read.
        SaeMergeError: A donor or the scores are not there.
    """
    recipe = parse_recipe(text, where)
    scores = scores_file(recipe.parameters)
    return {
        "recipe's donors": json_sha256([of_files(donor) for donor in donors_of(recipe)]),
        "recipe's scores": json_sha256(None if scores is None else file_sha256(scores)),
    }


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ."""
    return [
        name
        for name in {**before, **now}
        if before.get(name) != now.get(name)
        and (name not in _WHERE_BOTH_TELL or (name in before and name in now))
    ]
