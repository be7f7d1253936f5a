"""Folders that appear complete or not at all, whatever kills us on the way.

A new folder is made in a hidden sibling that is locked while we live: what a killed run left
behind is told from a running one by its lock, and removed by the next run for the same place.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import sync_file, umask

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes ``path`` when the block ends well.

    An existing ``path`` is left as it was if the block fails, and is replaced only after
    success and only with ``overwrite``, in one step where the system can (Linux); an empty
    folder counts as absent. With ``sync`` all is on the disk before the new name appears.

    Raises:
        UsageError: ``path`` is a file, or a folder with something in it, without ``overwrite``.
    """
    require_free(path, overwrite=overwrite)
    if path.is_symlink():
        path = path.resolve()  # what the link points to is replaced, not the link
    with scratch_folder(path, "new") as temporary:
        yield temporary
        temporary.chmod(0o777 & ~umask())
        if sync:
            _sync_tree(temporary)
        _swap(temporary, path)
        if sync:
            sync_file(path.parent)


def require_free(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a place that already holds something, as :func:`new_folder` does.

    Raises:
        UsageError: See there.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if not path.is_dir():
            raise UsageError(f"expected a folder to write at {path}, found a file")
        if not overwrite:
            raise UsageError(f"{path} exists and is not empty: name another folder or pass --overwrite")


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
        locked = _lock(parent)
        if locked:
            _remove_leftovers(beside)
        temporary = Path(tempfile.mkdtemp(dir=beside.parent, prefix=f".{beside.name}.{purpose}."))
        handle = os.open(temporary, os.O_RDONLY)
        _lock(handle)
    finally:
        os.close(parent)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a second process out of ``folder`` while the block runs; the kernel lets go when we end.

    Raises:
        UsageError: Another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"another process is at work in {folder}: wait for it, or end it") from None
        yield
    finally:
        os.close(handle)


def _remove_leftovers(beside: Path) -> None:
    """Remove siblings of killed runs: those whose lock nobody holds."""
    pattern = re.compile(rf"\.{re.escape(beside.name)}\.(?:new|adapters)\.\w{{8}}")
    for sibling in beside.parent.iterdir():
        if not pattern.fullmatch(sibling.name) or sibling.is_symlink() or not sibling.is_dir():
            continue
        try:
            handle = os.open(sibling, os.O_RDONLY)
        except OSError:
            continue
        try:
            if _lock(handle):
                shutil.rmtree(sibling, ignore_errors=True)
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Take an exclusive lock without waiting; the kernel drops it when the process ends."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another process, or a file system without locks
        return False
    return True


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(root) / name)
        sync_file(Path(root))


def _swap(new: Path, target: Path) -> None:
    """Put ``new`` in the place of ``target``; what stood there is then at ``new``."""
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        # Two steps: a kill between them leaves the old folder under the name below.
        aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.old."))
        old = target.rename(aside / target.name)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            aside.rmdir()
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders swap names in one step; False where kernel or file system cannot."""
    with contextlib.suppress(AttributeError):  # no such function in this C library
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        done: int = rename(
            _AT_FDCWD, os.fsencode(one.absolute()), _AT_FDCWD, os.fsencode(other.absolute()), _RENAME_EXCHANGE
        )
        return done == 0
    return False
