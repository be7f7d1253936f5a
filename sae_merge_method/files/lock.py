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
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import UsageError

LOCK_FILE = ".sae-merge-lock"
"""The lock's name inside a folder that stands."""
_MOST_BYTES = 4096
_TRIES = 100


class Holder(NamedTuple):
    """Who holds a lock, as it says."""

    host: str
    pid: int
    since: str
    command: str

    def __str__(self) -> str:
        machine = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{machine} (sae-merge {self.command}, since {self.since})"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other sae-merge out of a folder that stands, on this machine and others.

    Raises:
        UsageError: Another process holds it, or may hold it.
    """
    with lock_file(folder / LOCK_FILE, f"{folder} is being edited by"):
        yield


@contextmanager
def lock_file(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Args:
        lock: The file.
        busy: What a refusal says before the holder's name.

    Raises:
        UsageError: Another process holds it, or may hold it.
    """
    ours = lock.with_name(f"{lock.name}.{socket.gethostname()}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(ours, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            os.write(handle, json.dumps(_self()._asdict()).encode())
            os.fsync(handle)
            _flock(handle)
            _take(ours, lock, busy)
        finally:
            with suppress(FileNotFoundError):
                ours.unlink()
        for leftover in lock.parent.glob(f"{lock.name}.{socket.gethostname()}.*"):
            leftover.unlink(missing_ok=True)  # of one that was killed
        try:
            yield
        finally:
            if _is(lock, handle):
                lock.unlink()
    finally:
        os.close(handle)


def holder_of(folder: Path) -> Holder | None:
    """Who holds a folder; None where nobody does, or its process is gone."""
    return _holder(folder / LOCK_FILE)


def _holder(lock: Path) -> Holder | None:
    with suppress(OSError):
        handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return None if _is_stale(handle) else _read(handle)
        finally:
            os.close(handle)
    return None


def _take(ours: Path, lock: Path, busy: str) -> None:
    for _ in range(_TRIES):
        try:
            os.link(ours, lock)
            return
        except FileExistsError:
            pass
        except FileNotFoundError:  # who holds the lock swept ours away as a leftover
            raise UsageError(f"{busy} another process: try again") from None
        try:
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # just given back
            continue
        except OSError as error:
            raise UsageError(f"expected a lock of sae-merge at {lock}: {error.strerror}") from None
        try:
            if not _is_stale(handle):
                raise UsageError(_refusal(lock, _read(handle), busy))
            if _is(lock, handle):  # and we hold its flock: nobody else takes it over
                ours.rename(lock)
                return
        finally:
            os.close(handle)
    raise UsageError(f"{lock} changes hands too often: try again")


def _refusal(lock: Path, holder: Holder, busy: str) -> str:
    if holder.host == socket.gethostname():
        return f"{busy} {holder}: wait for it, or end it"
    return (
        f"{busy} {holder}: wait for it; if that process is known to be gone, remove {lock} "
        "and nothing else, then try again"
    )


def _is_stale(handle: int) -> bool:
    """Whether the lock's process was of this machine and is gone; its ``flock`` is ours then."""
    if _read(handle).host != socket.gethostname():
        return False
    return _flock(handle)


def _flock(handle: int) -> bool:
    """Take the kernel's lock; False where another has it, or the file system knows none."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise
        return False
    return True


def _read(handle: int) -> Holder:
    try:
        fields: Any = json.loads(os.pread(handle, _MOST_BYTES, 0))
        return Holder(str(fields["host"]), int(fields["pid"]), str(fields["since"]), str(fields["command"]))
    except (ValueError, KeyError, TypeError):
        return Holder("an unknown machine", 0, "an unknown time", "of an unknown version")


def _is(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(lock), os.fstat(handle))
    except FileNotFoundError:
        return False


def _self() -> Holder:
    words = [word for word in sys.argv[1:2] if not word.startswith("-")]
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Holder(socket.gethostname(), os.getpid(), since, words[0] if words else "called from Python")
