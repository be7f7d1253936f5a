"""SAEs where tests put them: opened, and folders of the Hub's cache to put them into."""

from pathlib import Path

from sae_merge_method.saes.find import find_sae
from sae_merge_method.saes.opening import open_sae
from sae_merge_method.saes.sae import Sae


def sae_at(source: str | Path, layer: int, id: str | None = None) -> Sae:
    return open_sae(find_sae(str(source), id, layer))


def cached(hub: Path, repository: str, folder: str) -> Path:
    """A folder of a repository as the Hub's cache keeps it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = hub / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs/main").write_text(commit)
    return root / "snapshots" / commit / folder
