"""Where a model named by a user lies: a folder, or the Hub and its cache. Nothing fetched is ever executed.

Everything goes through ``huggingface_hub``: offline, what was fetched once still serves.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sae_merge_method.errors import ModelError, RecipeError, UsageError
from sae_merge_method.models.checkpoint import CONFIG_FILE

CARD_FILE = "README.md"


_ADDRESS = re.compile(r"hf://(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>[^/@]+))?/(?P<file>[^@]+)")
_REPOSITORY = re.compile(r"(?:[\w-][\w.-]*/)?[\w][\w.-]*", re.ASCII)


def is_hub_id(text: str) -> bool:
    """Whether a text can be a repository's id (``owner/name`` or ``name``), and no way out of a folder."""
    return _REPOSITORY.fullmatch(text) is not None and ".." not in text


def folder_at_hand(model: str, revision: str | None = None) -> Path | None:
    """A model's folder: itself, or the snapshot in the Hub's cache. Nothing is downloaded."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not is_hub_id(model):
        return None
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, CONFIG_FILE, revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def model_card_text(model: str, revision: str | None = None) -> str:
    """The README.md of a model: of its folder, or from the Hub.

    Raises:
        ModelError: There is none, or it cannot be had.
    """
    folder = folder_at_hand(model, revision)
    path = folder / CARD_FILE if folder is not None and (folder / CARD_FILE).exists() else None
    if path is None:
        if not is_hub_id(model) or Path(model).is_dir():
            raise ModelError(f"expected a model card at {Path(model) / CARD_FILE}")
        path = fetch_file(model, CARD_FILE, revision)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the model card {path}: {error}") from error


def fetch_file(repository: str, name: str, revision: str | None = None) -> Path:
    """One file of a model repository, from the cache or the Hub; where it lies in the cache.

    Raises:
        ModelError: No such repository or file, or the Hub cannot be reached; or names that lead elsewhere.
    """
    if not is_hub_id(repository) or not is_inside(name):
        raise ModelError(f"expected owner/name and a file inside it, got {repository!r} and {name!r}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the Hub does not give {name} of {repository}: {first}") from error


def is_inside(name: str) -> bool:
    """Whether a file's name inside a repository is plain: relative, no ``..``, no backslash."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name


def fetch_address(address: str) -> Path:
    """The file behind ``hf://OWNER/NAME[@REVISION]/FILE``, from the cache or the Hub.

    Raises:
        UsageError: Not such an address.
        ModelError: It cannot be had.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UsageError(f"expected hf://OWNER/NAME[@REVISION]/FILE in a model repository, got {address!r}")
    return fetch_file(match["repository"], match["file"], match["revision"])


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
