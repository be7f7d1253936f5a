"""A repository on the Hub and one file of it, by name or by address: fetched, and never executed."""

import re
from pathlib import Path, PurePosixPath

from sae_merge_method.errors import ModelError, UsageError, first_line

_REPOSITORY = re.compile(r"(?:[\w-][\w.-]*/)?[\w][\w.-]*", re.ASCII)
_SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>[^/@]+))?/(?P<file>[^@]+)")


def is_hub_id(text: str) -> bool:
    """Whether a text can be a repository's id (``owner/name`` or ``name``), and no way out of a folder."""
    return _REPOSITORY.fullmatch(text) is not None and ".." not in text


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


def local_file(named: str | Path) -> Path:
    """A file as a user names it: a path, or ``hf://...`` for :func:`fetch_address`."""
    return fetch_address(str(named)) if str(named).startswith(_SCHEME) else Path(named)


def fetch_file(repository: str, name: str, revision: str | None = None) -> Path:
    """One file of a model repository, from the cache or the Hub; where it lies in the cache.

    Raises:
        ModelError: No such repository or file, or the Hub cannot be reached; or names that lead elsewhere.
    """
    if not is_hub_id(repository):
        raise ModelError(f"expected a folder, or owner/name on the Hub: {repository} is neither")
    if not is_inside(name):
        raise ModelError(f"expected a file inside {repository}, got {name!r}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise ModelError(f"the Hub does not give {name} of {repository}: {first_line(error)}") from error
