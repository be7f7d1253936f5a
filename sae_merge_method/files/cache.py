"""The user's cache: things made from nothing but settings, kept under a key of those settings.

An entry is a folder that appears whole or not at all, with a seal: the sha256 of every file in it.
An entry whose files no longer fit its seal counts as absent and is made again.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from platformdirs import user_cache_path

from sae_merge_method.errors import InUseError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.hashing import file_sha256, json_sha256
from sae_merge_method.files.writing import canonical_json, write_text

logger = logging.getLogger(__name__)

SEAL = "seal.json"
_NAME = "sae-merge"
_PAUSE = 2.0


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/sae-merge`` on every system; where that is not set, in the system's folder of caches.

    That is ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS and ``%LOCALAPPDATA%`` on Windows.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG rules: a relative path is to be ignored.
    return configured / _NAME if configured.is_absolute() else user_cache_path(_NAME, appauthor=False)


def cache_key(depends_on: Mapping[str, object]) -> str:
    """Short hash of everything an entry depends on."""
    return json_sha256(depends_on)[:16]


def cached_folder(entry: Path, make: Callable[[Path], None]) -> Path:
    """``entry`` if it is whole, else made by ``make`` in a temporary folder and put in its place.

    Where another process is making it already, that one's is waited for.
    """
    with ExitStack() as stack:
        folder, waits = None, False
        while folder is None:
            if is_sealed(entry):
                return entry
            try:
                folder = stack.enter_context(new_folder(entry, overwrite=True))
            except InUseError as error:
                if not waits:
                    logger.info("waiting: %s", error)
                waits = True
                time.sleep(_PAUSE)
        if entry.exists():
            logger.warning("the cache entry %s is damaged and is made again", entry)
        make(folder)
        seal(folder)
    return entry


def seal(folder: Path) -> None:
    """Write the hashes of all files of ``folder``, as the last thing done to it."""
    write_text(folder / SEAL, canonical_json(_hashes(folder)))


def is_sealed(folder: Path) -> bool:
    """Whether ``folder`` has a seal and every file is as it was when sealed."""
    try:
        expected = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(expected == _hashes(folder))


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / SEAL)
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
