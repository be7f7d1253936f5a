"""What of SAEs and recipes an experiment's files are made from, and what of all is another now."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.hashing import file_sample, file_sha256, json_sha256
from sae_merge_method.identity.made_from import BESIDE, TASKS, Parts, of_files
from sae_merge_method.recipe.gate import scores_file
from sae_merge_method.recipe.methods import folders_of, parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.saes.find import SaeAddress, fetched_files
from sae_merge_method.saes.formats import format_of_folder

SAES = "SAEs"
RELEASED = "SAEs of releases"
_EACH = ": "
"""Between a kind of parts, which messages name, and the one that it is."""
_WHERE_BOTH_TELL = (BESIDE, SAES, TASKS)
"""Parts that older versions did not tell, or of SAEs that are gone by now, or of tasks that nobody asks: what
was made stands."""


def of_saes(folders: Mapping[str, Path]) -> Parts:
    """Tells SAEs in folders from others by what is in their files, each apart: some may be gone.

    Args:
        folders: By whatever tells one SAE from another, such as its layer.
    """
    parts = {}
    for name, folder in folders.items():
        with suppress(SaeMergeError):
            kind = format_of_folder(folder)
            if kind is not None:
                samples = [file_sample(folder / file) for file in kind.files]
                parts[f"{SAES}{_EACH}{name}"] = json_sha256(samples)
    return parts


def of_released(saes: Iterable[SaeAddress]) -> Parts:
    """Tells SAEs of releases from others by their files in the Hub's cache: names may stay, and files change.

    Nothing of one that is not there, and nobody is asked.
    """
    parts = {}
    for sae in saes:
        with suppress(SaeMergeError):
            files = fetched_files(sae)
            if files:
                parts[f"{RELEASED}{_EACH}{sae}"] = json_sha256([*map(file_sample, files)])
    return parts


def of_recipe_saes(text: str, where: str, layers: Sequence[int]) -> Parts:
    """The SAEs in folders that a recipe's method reads, while they are there.

    Args:
        text: The recipe.
        where: How messages name it.
        layers: The layers that it edits.
    """
    try:
        folders = folders_of(parse_recipe(text, where), layers)
    except SaeMergeError:
        return {}
    return of_saes({str(number): folder for number, folder in enumerate(folders, 1)})


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
    """Names of the parts that differ, of each kind once.

    An SAE that was not among those told of before makes a difference, unless it is a release's and was
    fetched since; one that is gone makes none.
    """
    told = {_kind(name) for name in before}

    def counts(name: str) -> bool:
        if _kind(name) == RELEASED:
            return name in before and name in now
        return _kind(name) not in _WHERE_BOTH_TELL or (name in now and _kind(name) in told)

    differing = (name for name in {**before, **now} if before.get(name) != now.get(name))
    return list(dict.fromkeys(_kind(name) for name in differing if counts(name)))


def _kind(name: str) -> str:
    return name.partition(_EACH)[0]
