"""Folders for work in progress: hidden, on the disk of what they become, gone when the work ends.

Each is locked by the kernel while we live: what a killed run left behind is told from a running one
by its lock, and removed by the next run for the same place.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sae_merge_method.files.lock import flock


@contextmanager
def scratch_folder(beside: Path, purpose: str) -> Iterator[Path]:
    """Yield an empty folder on the same disk as ``beside``, removed at the end, or by the next run.

    Args:
        beside: Path whose hidden sibling it becomes; parents are made.
        purpose: One word for its name.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    parent = os.open(beside.parent, os.O_RDONLY)
    try:
        # Nobody takes our folder for a leftover between its making and its locking.
        if flock(parent):
            _remove_leftovers(beside)
        temporary = Path(tempfile.mkdtemp(dir=beside.parent, prefix=f".{beside.name}.{purpose}."))
        handle = os.open(temporary, os.O_RDONLY)
        flock(handle)
    finally:
        os.close(parent)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


def siblings(beside: Path, purpose: str) -> Iterator[Path]:
    """Hidden folders beside a path, as :func:`scratch_folder` names them.

    Args:
        beside: The path.
        purpose: Regular expression for the word in their names.
    """
    pattern = re.compile(rf"\.{re.escape(beside.name)}\.(?:{purpose})\.\w{{8}}")
    for sibling in beside.parent.iterdir():
        if pattern.fullmatch(sibling.name) and sibling.is_dir() and not sibling.is_symlink():
            yield sibling


def _remove_leftovers(beside: Path) -> None:
    """Remove siblings of killed runs: those whose lock nobody holds."""
    for sibling in siblings(beside, "new|adapters"):
        try:
            handle = os.open(sibling, os.O_RDONLY)
        except OSError:
            continue
        try:
            if flock(handle):
                shutil.rmtree(sibling, ignore_errors=True)
        finally:
            os.close(handle)
