"""One exclusive lock for who writes where something stands, or will stand. How it is taken: ``lock_file``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sae_merge_method.errors import UsageError
from sae_merge_method.files.holder import read_holder
from sae_merge_method.files.kernel_lock import kernel_lock
from sae_merge_method.files.lock_file import held, open_lock

LOCK_FILE = ".sae-merge-lock"
"""The lock's name inside a folder that stands, and the end of its name beside one that will."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other sae-merge out of a folder that stands, on this machine and others.

    Raises:
        InUseError: Another process holds it, or may hold it.
        UsageError: There is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"expected a folder at {folder}, found {'a file' if folder.exists() else 'nothing'}")
    with held(folder / LOCK_FILE, f"{folder} is being edited by"):
        yield


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep every other sae-merge from writing a folder that does not stand yet, or will be replaced.

    Args:
        path: The folder; the lock lies beside it, hidden, in a folder that must be there.

    Raises:
        InUseError: Another process holds it, or may hold it.
    """
    with held(path.with_name(f".{path.name}{LOCK_FILE}"), f"{path} is being written by"):
        yield


def who_edits(folder: Path) -> str | None:
    """The sentence that refuses a folder which somebody holds; None where nobody does."""
    return who_holds(folder / LOCK_FILE, f"{folder} is being edited by")


def who_holds(lock: Path, busy: str) -> str | None:
    """As :func:`who_edits`, of a lock file, with the beginning of the sentence."""
    with suppress(OSError):
        handle = open_lock(lock)
        try:
            holder = read_holder(handle)
            return None if holder.is_here and kernel_lock(handle) else f"{busy} {holder.advice(lock)}"
        finally:
            os.close(handle)
    return None


def forget_other_machines(folder: Path) -> None:
    """Remove the locks below a folder that processes of other machines hold, or held.

    For who holds the folder itself, and knows that nobody but his own workers, which are gone, wrote in it.
    """
    for lock in folder.rglob(f"*{LOCK_FILE}"):
        with suppress(OSError):
            handle = open_lock(lock)
            try:
                holder = read_holder(handle)
            finally:
                os.close(handle)
            if not holder.is_here:
                lock.unlink()
