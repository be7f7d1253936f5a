"""Where each model of a recipe lies, at which commit, how much is still to be fetched, and its headers.

Of a model on the Hub nothing but config.json is fetched here.
"""

from collections.abc import Iterable
from pathlib import Path

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import ModelError, first_line
from sae_merge_method.models.adapter import Adapter, open_adapter
from sae_merge_method.models.beside_weights import is_wanted
from sae_merge_method.models.checkpoint import (
    CONFIG_FILE,
    Checkpoint,
    config_alone,
    no_folder,
    open_checkpoint,
)
from sae_merge_method.models.hub import ModelId, folder_at_hand
from sae_merge_method.models.lora_config import ADAPTER_CONFIG
from sae_merge_method.models.repository import fetch_file, is_hub_id
from sae_merge_method.models.shards import lacks_weights
from sae_merge_method.models.unreadable import explain, held_in_files


class Located(Record):
    """One model, or one adapter, that a recipe names."""

    name: str
    """As the recipe names it, without a revision."""
    commit: str | None
    """Its commit on the Hub; null for a folder."""
    size: int
    """Bytes of the files that a merge needs."""
    missing: int
    """Bytes of the needed files that are not on this machine."""


def locate(model: ModelId) -> Located:
    """Find a model without its adapter: a folder, the Hub, or without a network the Hub's cache.

    Raises:
        ModelError: It is none of these.
    """
    name = model.path
    if model.folder is not None:
        return Located(name=name, commit=None, size=_bytes_of(model.folder), missing=0)
    if Path(name).expanduser().is_file():
        raise ModelError(no_folder(Path(name).expanduser()))
    if not is_hub_id(name):
        raise ModelError(f"there is no folder {name}, and it is no Hub id")
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if constants.HF_HUB_OFFLINE:
        folder = folder_at_hand(model)
        if folder is None:
            raise ModelError(f"{name} is not in the Hub's cache, and HF_HUB_OFFLINE is set")
        if not (folder / ADAPTER_CONFIG).exists() and lacks_weights(folder):
            raise ModelError(f"{name} lacks weights in the Hub's cache, and HF_HUB_OFFLINE is set")
        return Located(name=name, commit=folder.name, size=_bytes_of(folder), missing=0)
    try:
        info = HfApi().model_info(name, revision=model.revision, files_metadata=True)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise ModelError(f"the Hub does not give {name}: {first_line(error)}") from error
    if info.sha is None:
        raise ModelError(f"the Hub does not say at which commit {name} is")
    files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    kind = held_in_files(files)
    if kind is not None:
        raise ModelError(explain(name, kind))
    needed = {file: files[file] for file in _needed(files)}
    missing = sum(size for file, size in needed.items() if not _is_cached(name, file, info.sha))
    return Located(name=name, commit=info.sha, size=sum(needed.values()), missing=missing)


def open_located(model: Located) -> Checkpoint:
    """A model's config and headers; its config alone where the weights are not on this machine.

    Raises:
        ModelError: They cannot be read.
    """
    if model.commit is None:
        return _open_whole(Path(model.name).expanduser())
    config = fetch_file(model.name, CONFIG_FILE, model.commit)
    if model.missing == 0:
        return _open_whole(config.parent)
    return config_alone(config)


def open_located_adapter(adapter: Located) -> Adapter | None:
    """An adapter's config and header; None where they are not on this machine.

    Raises:
        ModelError: They cannot be read, or it is of a kind that cannot be merged.
    """
    if adapter.commit is None:
        return open_adapter(Path(adapter.name).expanduser())
    if adapter.missing:
        return None
    return open_adapter(fetch_file(adapter.name, ADAPTER_CONFIG, adapter.commit).parent)


def _open_whole(folder: Path) -> Checkpoint:
    checkpoint = open_checkpoint(folder)
    checkpoint.require_agreement()
    return checkpoint


def _is_cached(name: str, file: str, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, file, revision=commit), str)


def _needed(names: Iterable[str]) -> list[str]:
    return [name for name in names if is_wanted(name)]


def _bytes_of(folder: Path) -> int:
    files = [path for path in folder.iterdir() if path.is_file()]
    return sum(path.stat().st_size for path in files if _needed([path.name]))
