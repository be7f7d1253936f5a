"""SAELens' table of releases, read as the file it is: importing SAELens for it would take seconds."""

import importlib.util
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
    is_gemma_scope_2: bool
    """Whether it is in the layout that ``gemma_scope`` reads."""
    neuronpedia: str | None
    """Id under which Neuronpedia shows its features, where it does."""


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
    found = _release(release)
    for sae in found["saes"]:
        if sae["id"] == id:
            return ReleaseEntry(
                repo_id=found["repo_id"],
                path=str(sae["path"]),
                is_gemma_scope_2=found.get("conversion_func") == "gemma_3",
                neuronpedia=sae.get("neuronpedia"),
            )
    raise SaeError(f"the release {release} has no SAE {id!r}")


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
