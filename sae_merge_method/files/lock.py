"""One exclusive lock for who writes where something stands, or will stand.

The lock is a file that says who holds it, made by ``link``, which is atomic on shared file systems too,
and held by ``flock`` while its process lives. A lock whose process is gone is taken over on the same
machine, where the kernel tells; one of another machine is respected until it is removed, for nobody here
can know whether that process lives.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sae_merge_method.errors import InUseError, UsageError
from sae_merge_method.files.holder import read_holder, this_process

LOCK_FILE = ".sae-merge-lock"
"""The lock's name inside a folder that stands, and the end of its name beside one that will."""
_TRIES, _PAUSE = 100, 0.01


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other sae-merge out of a folder that stands, on this machine and others.

    Raises:
        InUseError: Another process holds it, or may hold it.
        UsageError: There is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"expected a folder at {folder}, found {'a file' if folder.exists() else 'nothing'}")
    with _held(folder / LOCK_FILE, f"{folder} is being edited by"):
        yield


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep every other sae-merge from writing a folder that does not stand yet, or will be replaced.

    Args:
        path: The folder; the lock lies beside it, hidden, in a folder that must be there.

    Raises:
        InUseError: Another process holds it, or may hold it.
    """
    with _held(path.with_name(f".{path.name}{LOCK_FILE}"), f"{path} is being written by"):
        yield


def who_edits(folder: Path) -> str | None:
    """The sentence that refuses a folder which somebody holds; None where nobody does."""
    return who_holds(folder / LOCK_FILE, f"{folder} is being edited by")


def who_holds(lock: Path, busy: str) -> str | None:
    """As :func:`who_edits`, of a lock file, with the beginning of the sentence."""
    with suppress(OSError):
        handle = _open(lock)
        try:
            holder = read_holder(handle)
            return None if holder.is_here and flock(handle) else f"{busy} {holder.advice(lock)}"
        finally:
            os.close(handle)
    return None


def forget_other_machines(folder: Path) -> None:
    """Remove the locks below a folder that processes of other machines hold, or held.

    For who holds the folder itself, and knows that nobody but his own workers, which are gone, wrote in it.
    """
    for lock in folder.rglob(f"*{LOCK_FILE}"):
        with suppress(OSError):
            handle = _open(lock)
            try:
                if not read_holder(handle).is_here:
                    lock.unlink()
            finally:
                os.close(handle)


def flock(handle: int) -> bool:
    """Take the kernel's lock on an open file or folder, without waiting; it ends with the process.

    Returns:
        False where another has it, or the file system knows none.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise
        return False
    return True


@contextmanager
def _held(lock: Path, busy: str) -> Iterator[None]:
    handle = None
    while handle is None:
        handle = _taken(lock, busy)
    try:
        yield
    finally:
        _give_back(lock, handle)


def _taken(lock: Path, busy: str) -> int | None:
    """The descriptor of the lock, ours now; None where our file was swept away before it was locked."""
    mine = f"{lock.name}.{socket.gethostname()}."
    ours = lock.with_name(f"{mine}{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(ours, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    taken = False
    try:
        try:
            flock(handle)
            os.write(handle, json.dumps(this_process()._asdict()).encode())
            os.fsync(handle)
            taken = _take(ours, handle, lock, busy)
        finally:
            with suppress(FileNotFoundError):
                ours.unlink()
        for sibling in lock.parent.iterdir() if taken else ():
            if sibling.name.startswith(mine):
                _sweep(sibling)
    except BaseException:
        _give_back(lock, handle)
        raise
    if not taken:
        os.close(handle)
    return handle if taken else None


def _give_back(lock: Path, handle: int) -> None:
    try:
        if _is(lock, handle):
            lock.unlink()
    finally:
        os.close(handle)


def _sweep(file: Path) -> None:
    """Remove what a process that was killed while it took a lock left behind."""
    with suppress(OSError):
        handle = _open(file)
        try:
            if flock(handle):
                file.unlink()
        finally:
            os.close(handle)


def _take(ours: Path, own: int, lock: Path, busy: str) -> bool:
    """Give our file, whose flock we hold, the lock's name; False where it is gone.

    Raises:
        InUseError: Another process holds the lock, or may hold it.
    """
    refusal = f"{busy} one process after the other: try again"
    for _ in range(_TRIES):
        try:
            os.link(ours, lock)
        except FileNotFoundError:
            return False
        except FileExistsError:
            pass
        if _is(lock, own):  # also where a network file system had done it, and said that it could not
            return True
        try:
            handle = _open(lock)
        except FileNotFoundError:  # just given back
            continue
        except OSError as error:
            raise InUseError(f"expected a lock of sae-merge at {lock}: {error.strerror}") from None
        try:
            holder = read_holder(handle)
            if holder.is_here and flock(handle):
                if _is(lock, handle):  # and we hold its flock: nobody else takes it over
                    ours.rename(lock)
                    return True
                continue
        finally:
            os.close(handle)
        refusal = f"{busy} {holder.advice(lock)}"
        if not holder.is_here or holder.lives:
            raise InUseError(refusal)
        time.sleep(_PAUSE)  # of a dead process: another one looks at it, or takes it over, this moment
    raise InUseError(refusal)


def _open(lock: Path) -> int:
    # For writing, though nothing is written: flock on NFS asks for it.
    return os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _is(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(lock), os.fstat(handle))
    except FileNotFoundError:
        return False
