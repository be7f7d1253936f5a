"""Releases of SAEs on the Hub: SAELens' table of them, and their files.

The table is read as the file it is: importing SAELens for it would take seconds.
"""

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import SaeError

_TABLE = "pretrained_saes.yaml"


class ReleaseEntry(NamedTuple):
    """One SAE of a release."""

    repo_id: str
    """Hub repository."""
    path: str
    """Folder within it."""
    conversion: str | None
    """SAELens' name of what it does to the release's files to read them; None where they are its own."""
    neuronpedia: str | None
    """Id under which Neuronpedia shows its features, where it does."""
    overrides: Mapping[str, Any]
    """What the table says instead of the SAE's config."""
    is_rescaled: bool
    """Whether the table holds the factor that the SAE's activations are scaled by."""


def release_ids(release: str) -> frozenset[str]:
    """Ids of a release's SAEs.

    Raises:
        SaeError: SAELens knows no such release.
    """
    return frozenset(sae["id"] for sae in _release(release)["saes"])


def find_entry(release: str, id: str) -> ReleaseEntry:
    """Where an SAE of a release lies on the Hub.

    Raises:
        SaeError: No such release, or no such SAE in it.
    """
    listed = _release(release)
    for sae in listed["saes"]:
        if sae["id"] == id:
            return ReleaseEntry(
                repo_id=listed["repo_id"],
                path=str(sae["path"]),
                conversion=listed.get("conversion_func"),
                neuronpedia=sae.get("neuronpedia"),
                overrides=listed.get("config_overrides") or {},
                is_rescaled="norm_scaling_factor" in sae,
            )
    raise SaeError(f"the release {release} has no SAE {id!r}")


def fetch(entry: ReleaseEntry, name: str) -> Path:
    """A file of an SAE; without a network from the local cache and nothing else.

    Raises:
        SaeError: Neither on the Hub nor in the cache.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    where = f"{entry.repo_id}/{entry.path}"
    try:
        return Path(hf_hub_download(entry.repo_id, f"{entry.path}/{name}"))
    except LocalEntryNotFoundError as error:
        raise SaeError(
            f"the SAE {where} is not in the local cache and the Hub cannot be reached "
            "(--layers restricts a diagnosis to the layers that are there)"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise SaeError(f"cannot get the SAE {where} from the Hub: {error}") from error


def at_hand(entry: ReleaseEntry, name: str) -> Path | None:
    """Where a file of an SAE lies in the local cache; None where it does not. Nobody is asked."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(entry.repo_id, f"{entry.path}/{name}")
    return Path(found) if isinstance(found, str) else None


def _release(name: str) -> dict[str, Any]:
    table = _table()
    if name not in table:
        raise SaeError(f"{name!r} is neither a folder nor a release that SAELens knows")
    release: dict[str, Any] = table[name]
    return release


@cache
def _table() -> dict[str, Any]:
    import yaml

    spec = importlib.util.find_spec("sae_lens")
    if spec is None or not spec.submodule_search_locations:
        raise SaeError("SAELens is not installed: it lists the SAE releases")
    path = Path(spec.submodule_search_locations[0]) / _TABLE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SaeError(f"cannot read SAELens' list of releases at {path}: {error.strerror}") from error
    # The C parser takes a second, the Python one ten.
    table: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return table
