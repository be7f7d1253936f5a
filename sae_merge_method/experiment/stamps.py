"""Hashes that tell what an experiment's files are made from, and from what else now."""

from collections.abc import Mapping
from hashlib import sha256

from sae_merge_method.files.hashing import file_sha256, json_sha256
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.models.lora_config import ADAPTER_CONFIG
from sae_merge_method.recipe.gate import scores_file
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.pin import donors_of


def model_stamp(model: str) -> str:
    """Tells a model's weights, and its adapter's, from others without reading them.

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
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]
