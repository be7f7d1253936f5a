"""Hashes that tell what an experiment's files are made from, and from what else now."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.hashing import file_sample, file_sha256, json_sha256
from sae_merge_method.models.beside_weights import files_to_take
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.models.lora_config import ADAPTER_CONFIG
from sae_merge_method.recipe.gate import scores_file
from sae_merge_method.recipe.methods import folders_of, parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.saes.formats import format_of_folder

BESIDE = "files beside the weights"
SAES = "SAEs"
_WHERE_BOTH_TELL = (BESIDE, SAES)
"""Parts that older versions did not tell, or of SAEs that are gone by now: what was made stands."""


def model_stamp(model: str) -> str:
    """Tells a model's config and weights, and its adapter's, from others without reading them.

    Over its config and, for every weight file, its name, size and time of change; of the Hub's cache,
    the name of the blob, which is the hash of its bytes.

    Raises:
        ModelError: There is no such model.
        SaeMergeError: It has no config.
    """
    digest = sha256()
    for part, config in zip(parse_model_id(model).parts, (CONFIG_FILE, ADAPTER_CONFIG), strict=False):
        folder = local_folder(part)
        digest.update(file_sha256(folder / config).encode())
        for file in sorted(folder.glob("*.safetensors")):
            target = file.resolve()
            state = target.stat()
            what = target.name if file.is_symlink() else str(state.st_mtime_ns)
            digest.update(f"{file.name} {state.st_size} {what}\n".encode())
    return digest.hexdigest()


def beside_stamp(model: str) -> str:
    """Tells the files beside a model's weights from others: tokenizer, chat template, settings of generation.

    An adapter's are nobody's, and code, which is never run, is none.

    Raises:
        ModelError: There is no such model.
        SaeMergeError: One of the files cannot be read.
    """
    folder = local_folder(parse_model_id(model).parts[0])
    files = [name for name in files_to_take(folder, tokenizer=True) if name != CONFIG_FILE]
    return json_sha256({name: file_sha256(folder / name) for name in files})


def sae_stamps(folders: Iterable[Path]) -> dict[str, str]:
    """Tells SAEs in folders from others by what is in their files; those of a release are told by its name.

    Args:
        folders: By layer.
    """
    kinds = ((folder, format_of_folder(folder)) for folder in folders)
    saes = [[file_sample(folder / file) for file in kind.files] for folder, kind in kinds if kind is not None]
    return {SAES: json_sha256(saes)} if saes else {}


def recipe_saes(text: str, where: str, layers: Sequence[int]) -> dict[str, str]:
    """The SAEs in folders that a recipe's method reads, while they are there.

    Args:
        text: The recipe.
        where: How messages name it.
        layers: The layers that it edits.
    """
    try:
        return sae_stamps(folders_of(parse_recipe(text, where), layers))
    except SaeMergeError:
        return {}


def recipe_stamps(text: str, where: str) -> dict[str, str]:
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
        "recipe's donors": json_sha256([model_stamp(donor) for donor in donors_of(recipe)]),
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
