"""One exclusive lock for who writes where something stands, or will stand.

The lock is a file that says who holds it, made by ``link``, which is atomic on shared file systems too (by
exclusive creation where there are no hard links, and on Windows), and held by the kernel's lock while its
process lives. A lock whose process is gone is taken over on the same machine, where the kernel tells; one of
another machine is respected until it is removed, for nobody here can know whether that process lives.
"""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sae_merge_method.errors import InUseError, UsageError
from sae_merge_method.files.descriptors import open_plain, open_wary, sync, write_at
from sae_merge_method.files.holder import read_holder, this_process
from sae_merge_method.files.kernel_lock import ON_WINDOWS, kernel_lock

LOCK_FILE = ".sae-merge-lock"
"""The lock's name inside a folder that stands, and the end of its name beside one that will."""
_TRIES, _PAUSE = 100, 0.01
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


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
            handle = _open(lock)
            try:
                holder = read_holder(handle)
            finally:
                os.close(handle)
            if not holder.is_here:
                lock.unlink()


@contextmanager
def _held(lock: Path, busy: str) -> Iterator[None]:
    handle = None
    while handle is None:
        handle = _taken(lock, busy)
    try:
        yield
    finally:
        _give_back(lock, handle)


class _NoLinksError(Exception):
    """The file system has no hard links."""


def _taken(lock: Path, busy: str) -> int | None:
    """The descriptor of the lock, ours now; None where it is to be tried again."""
    if ON_WINDOWS:  # a file that is open could neither be renamed nor removed
        return _created(lock, busy)
    try:
        return _linked(lock, busy)
    except _NoLinksError:
        return _created(lock, busy)


def _sign(handle: int) -> None:
    """Say in a lock that it is ours."""
    os.ftruncate(handle, 0)
    write_at(handle, json.dumps(this_process()._asdict()).encode(), 0)
    sync(handle)


def _created(lock: Path, busy: str) -> int | None:
    """The lock's own file, made by us, or left by a dead process of this machine; as :func:`_linked`."""
    try:
        handle, is_new = open_wary(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL), True
        kernel_lock(handle)
    except FileExistsError:
        try:
            handle, is_new = _open(lock), False
        except FileNotFoundError:  # just given back
            return None
    try:
        if not is_new:
            holder = read_holder(handle)
            if not holder.is_here or not kernel_lock(handle):
                raise InUseError(f"{busy} {holder.advice(lock)}")
        if _is(lock, handle):
            _sign(handle)
            return handle
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _linked(lock: Path, busy: str) -> int | None:
    """The descriptor of the lock, ours now; None where our file was swept away before it was locked.

    Raises:
        InUseError: Another process holds the lock, or may hold it.
        _NoLinksError: Nobody can hold it so here.
    """
    mine = f"{lock.name}.{socket.gethostname()}."
    ours = lock.with_name(f"{mine}{os.getpid()}.{os.urandom(4).hex()}")
    handle = open_plain(ours, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    taken = False
    try:
        try:
            kernel_lock(handle)
            _sign(handle)
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
    if ON_WINDOWS:
        os.close(handle)
        with suppress(OSError):  # who holds it by now has it open, and keeps it
            lock.unlink()
        return
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
            if kernel_lock(handle):
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
        except OSError as error:
            if error.errno in _NO_LINKS and not _is(lock, own):
                raise _NoLinksError from None
            raise
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
            if holder.is_here and kernel_lock(handle):
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
    return open_wary(lock, os.O_RDWR)


def _is(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(lock), os.fstat(handle))
    except FileNotFoundError:
        return False
