"""A lock file: it says who holds it, and is held by the kernel's lock while its process lives.

It is made by ``link``, which is atomic on shared file systems too; by exclusive creation where there are no
hard links, and on Windows. A lock whose process is gone is taken over on the same machine, where the kernel
tells; one of another machine is respected until it is removed, for nobody here can know whether that process
lives.
"""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sae_merge_method.errors import InUseError
from sae_merge_method.files.descriptors import open_plain, open_wary, sync, write_at
from sae_merge_method.files.holder import read_holder, this_process
from sae_merge_method.files.kernel_lock import ON_WINDOWS, kernel_lock

_TRIES, _PAUSE = 100, 0.01
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def held(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        InUseError: Another process holds it, or may hold it; ``busy`` begins the sentence.
    """
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
    with suppress(_NoLinksError):
        if not ON_WINDOWS:  # where an open file could neither be renamed nor removed
            return _linked(lock, busy)
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
            handle, is_new = open_lock(lock), False
        except FileNotFoundError:  # just given back
            return None
        except OSError as error:
            raise _no_lock(lock, error) from None
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
        handle = open_lock(file)
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
            handle = open_lock(lock)
        except FileNotFoundError:  # just given back
            continue
        except OSError as error:
            raise _no_lock(lock, error) from None
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


def _no_lock(lock: Path, error: OSError) -> InUseError:
    return InUseError(f"expected a lock of sae-merge at {lock}: {error.strerror}")


def open_lock(lock: Path) -> int:
    """Descriptor of a lock file that is there, and is no link."""
    # For writing, though nothing is written: flock on NFS asks for it.
    return open_wary(lock, os.O_RDWR)


def _is(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(lock), os.fstat(handle))
    except FileNotFoundError:
        return False
