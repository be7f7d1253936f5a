"""What is fetched from the Hub, and how its names are told from paths. Nothing of it is ever executed.

Everything goes through ``huggingface_hub`` and its cache: offline, what was fetched once still serves.
"""

import re
from pathlib import Path

from sae_merge_method.checkpoints import CONFIG_FILE

SCHEME = "hf://"


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
