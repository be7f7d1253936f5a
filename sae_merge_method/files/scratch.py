"""Folders for work in progress: hidden, on the disk of what they become, gone when the work ends.

Each is locked by the kernel while we live: what a killed run left behind is told from a running one
by its lock, and removed by the next run for the same place. Where the kernel knows no locks, it stays.
"""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sae_merge_method.files.descriptors import open_plain
from sae_merge_method.files.kernel_lock import ON_WINDOWS, kernel_lock


@contextmanager
def scratch_folder(beside: Path, purpose: str) -> Iterator[Path]:
    """Yield an empty folder on the same disk as ``beside``, removed at the end, or by the next run.

    Args:
        beside: Path whose hidden sibling it becomes; parents are made.
        purpose: One word for its name.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{beside.name}.{purpose}."
    temporary, handle = (_made_with_its_file if ON_WINDOWS else _made)(beside, prefix)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)
        if ON_WINDOWS:
            _lock_file(temporary).unlink(missing_ok=True)


def _made(beside: Path, prefix: str) -> tuple[Path, int]:
    """The new folder, and its descriptor, which is locked."""
    parent = os.open(beside.parent, os.O_RDONLY)
    try:
        # Nobody takes our folder for a leftover between its making and its locking.
        if kernel_lock(parent):
            _remove_leftovers(beside)
        temporary = Path(tempfile.mkdtemp(dir=beside.parent, prefix=prefix))
        handle = os.open(temporary, os.O_RDONLY)
        kernel_lock(handle)
    finally:
        os.close(parent)
    return temporary, handle


def _made_with_its_file(beside: Path, prefix: str) -> tuple[Path, int]:
    """The same on Windows, which opens no folders: a file beside is locked in its stead, and made first."""
    _remove_leftovers(beside)
    while True:
        temporary = beside.with_name(prefix + secrets.token_hex(4))
        handle = open_plain(_lock_file(temporary), os.O_RDWR | os.O_CREAT)
        if kernel_lock(handle) and not temporary.exists():
            temporary.mkdir()
            return temporary, handle
        os.close(handle)


def _lock_file(temporary: Path) -> Path:
    return temporary.with_name(f"{temporary.name}.lock")


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
        lock = _lock_file(sibling) if ON_WINDOWS else sibling
        try:
            handle = open_plain(lock, os.O_RDWR | os.O_CREAT if ON_WINDOWS else os.O_RDONLY)
        except OSError:
            continue
        try:
            if not kernel_lock(handle):
                continue
            shutil.rmtree(sibling, ignore_errors=True)
        finally:
            os.close(handle)
        if ON_WINDOWS:
            lock.unlink(missing_ok=True)
