"""Hashes that tell what an experiment's files are made from, and from what else now."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sae_merge_method.files.hashing import file_sha256, json_sha256
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.models.lora_config import ADAPTER_CONFIG
from sae_merge_method.recipe.gate import scores_file
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.pin import donors_of

# Whose releases can change a number.
_PACKAGES = ("lm-eval", "math-verify", "sympy", "torch", "transformers", "vllm")


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


def folder_stamp(folder: Path, without: Path | None = None) -> str:
    """sha256 over a folder's file names and bytes; what is hidden or made by Python itself does not count.

    Args:
        folder: Where the files lie, at any depth.
        without: A folder that does not count, should it lie in there.
    """
    root = folder.resolve()
    left_out = None if without is None else without.resolve()
    files = {
        str(file.relative_to(root)): file_sha256(file)
        for file in sorted(root.rglob("*"))
        if file.is_file()
        and not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(root).parts)
        and (left_out is None or not file.is_relative_to(left_out))
    }
    return json_sha256([*files.items()])


def package_versions() -> str:
    """Versions of the packages that evaluate, in a line."""
    return ", ".join(f"{name} {installed}" for name in _PACKAGES if (installed := _version(name)))


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ."""
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
