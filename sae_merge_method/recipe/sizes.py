"""Where each model of a recipe comes from, at which commit, and how many bytes are still to be fetched."""

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.errors import ModelError, first_line
from sae_merge_method.models.hub import WANTED_FILES, ModelId, folder_at_hand, is_hub_id

_UNITS = ("kB", "MB", "GB", "TB")


class Located(NamedTuple):
    """One model, or one adapter."""

    name: str
    """As the recipe names it, without a revision."""
    commit: str | None
    """On the Hub; None for a folder."""
    size: int
    """Bytes of the files a merge needs."""
    missing: int
    """Bytes of those that are not at hand."""


def locate(name: str, revision: str | None) -> Located:
    """Find a model: a folder, the Hub, or without a network the Hub's cache.

    Raises:
        ModelError: It is none of these.
    """
    model = ModelId(name, revision)
    if model.folder is not None:
        return Located(name, None, _bytes_of(model.folder), 0)
    if not is_hub_id(name):
        raise ModelError(f"there is no folder {name}, and it is no Hub id")
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if not constants.HF_HUB_OFFLINE:
        try:
            info = HfApi().model_info(name, revision=revision, files_metadata=True)
        except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
            raise ModelError(f"the Hub does not give {name}: {first_line(error)}") from error
        if info.sha is None:
            raise ModelError(f"the Hub does not say at which commit {name} is")
        files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        wanted = {file: files[file] for file in _wanted(files)}
        missing = sum(size for file, size in wanted.items() if not _is_cached(name, file, info.sha))
        return Located(name, info.sha, sum(wanted.values()), missing)
    folder = folder_at_hand(model)
    if folder is None:
        raise ModelError(f"{name} is not in the Hub's cache, and HF_HUB_OFFLINE is set")
    return Located(name, folder.name, _bytes_of(folder), 0)


def readable(size: int) -> str:
    """A number of bytes for people."""
    if size < 1000:
        return f"{size} B"
    power = min((len(str(size)) - 1) // 3, len(_UNITS))
    return f"{size / 1000**power:.3g} {_UNITS[power - 1]}"


def _is_cached(name: str, file: str, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, file, revision=commit), str)


def _wanted(names: Iterable[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name, pattern) for pattern in WANTED_FILES)]


def _bytes_of(folder: Path) -> int:
    files = [path for path in folder.iterdir() if path.is_file()]
    return sum(path.stat().st_size for path in files if _wanted([path.name]))
