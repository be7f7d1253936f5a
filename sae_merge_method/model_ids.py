"""Where a model named in a recipe lies on disk: a folder, or a Hub id through the Hub's cache."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.errors import ModelError, RecipeError

_HUB_ID = re.compile(r"[\w][\w.-]*(?:/[\w][\w.-]*)?")
# What a merge needs of a repository: never its code, never pickled weights.
WANTED_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "merges.txt"]


@dataclass(frozen=True)
class ModelId:
    """A model as mergekit writes it: ``path[@revision][+lora[@revision]]``."""

    path: str
    revision: str | None = None
    lora: str | None = None


def parse_model_id(text: str) -> ModelId:
    """Read mergekit's notation for a model reference.

    Raises:
        RecipeError: Empty, or more than one ``+`` or ``@`` in a part.
    """
    model, plus, lora = text.partition("+")
    path, at, revision = model.partition("@")
    if not path or (plus and not lora) or (at and not revision) or "+" in lora or "@" in revision:
        raise RecipeError(f"expected a model like path, owner/name@revision or path+lora, got {text!r}")
    return ModelId(path, revision or None, lora or None)


def as_path(model: str) -> str:
    """The same model, a relative folder marked as one (``base`` becomes ``./base``).

    mergekit asks the Hub for a bare relative name even where a folder of that name exists.
    """
    name, plus, lora = model.partition("+")
    return _dotted(name) + plus + (_dotted(lora) if lora else "")


def _dotted(path: str) -> str:
    return f"./{path}" if path[:1] not in "./~" and Path(path).exists() else path


def local_folder(model: str, revision: str | None = None, cache_dir: str | None = None) -> Path:
    """Folder of a model: ``model`` itself when it exists, else the Hub's cache or download.

    Offline (``HF_HUB_OFFLINE=1``) a cached snapshot serves without any request.

    Raises:
        ModelError: No such folder, and not a repository that can be had.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith((".", "/", "~", os.sep)) or not _HUB_ID.fullmatch(model):
        raise ModelError(f"expected a model folder or a Hub id, and there is no folder {model}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(model, revision=revision, cache_dir=cache_dir, allow_patterns=WANTED_FILES)
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"no folder {model}, and the Hub does not give a model of that name: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
