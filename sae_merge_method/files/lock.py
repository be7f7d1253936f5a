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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import InUseError

LOCK_FILE = ".sae-merge-lock"
"""The lock's name inside a folder that stands, and the end of its name beside one that will."""
_MOST_BYTES, _MOST_CHARACTERS = 4096, 100
_TRIES, _PAUSE = 100, 0.01


class Holder(NamedTuple):
    """Who holds a lock, as it says."""

    host: str
    pid: int
    since: str
    command: str

    def __str__(self) -> str:
        machine = "" if self.is_here else f" on {self.host}"
        return f"process {self.pid}{machine} ({self.command}, since {self.since})"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether there is a process of that number here."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass
        return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other sae-merge out of a folder that stands, on this machine and others.

    Raises:
        InUseError: Another process holds it, or may hold it.
    """
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
            holder = _read(handle)
            return None if holder.is_here and flock(handle) else f"{busy} {_advice(lock, holder)}"
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
                if not _read(handle).is_here:
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
    mine = f"{lock.name}.{socket.gethostname()}."
    ours = lock.with_name(f"{mine}{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(ours, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            os.write(handle, json.dumps(_self()._asdict()).encode())
            os.fsync(handle)
            flock(handle)
            _take(ours, handle, lock, busy)
        finally:
            with suppress(FileNotFoundError):
                ours.unlink()
        for sibling in lock.parent.iterdir():
            if sibling.name.startswith(mine):
                sibling.unlink(missing_ok=True)  # of one that was killed, or is about to be refused
        try:
            yield
        finally:
            if _is(lock, handle):
                lock.unlink()
    finally:
        os.close(handle)


def _take(ours: Path, own: int, lock: Path, busy: str) -> None:
    """Give our file, whose flock we hold, the lock's name."""
    refusal = f"{busy} one process after the other: try again"
    for _ in range(_TRIES):
        with suppress(FileExistsError, FileNotFoundError):  # the latter: swept away by who holds the lock
            os.link(ours, lock)
        if _is(lock, own):
            return
        try:
            handle = _open(lock)
        except FileNotFoundError:  # just given back
            continue
        except OSError as error:
            raise InUseError(f"expected a lock of sae-merge at {lock}: {error.strerror}") from None
        try:
            holder = _read(handle)
            if holder.is_here and flock(handle):
                if _is(lock, handle):  # and we hold its flock: nobody else takes it over
                    ours.rename(lock)
                    return
                continue
        finally:
            os.close(handle)
        refusal = f"{busy} {_advice(lock, holder)}"
        if not holder.is_here or holder.lives:
            raise InUseError(refusal)
        time.sleep(_PAUSE)  # of a dead process: another one looks at it, or takes it over, this moment
    raise InUseError(refusal)


def _advice(lock: Path, holder: Holder) -> str:
    if holder.is_here and holder.lives:
        return f"{holder}: wait for it, or end it"
    return (
        f"{holder}: wait for it; if that process is known to be gone, remove {lock} "
        "and nothing else, then try again"
    )


def _open(lock: Path) -> int:
    # For writing, though nothing is written: flock on NFS asks for it.
    return os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _read(handle: int) -> Holder:
    """What the lock says; it may come from elsewhere, and is shown on terminals."""
    try:
        fields: Any = json.loads(os.pread(handle, _MOST_BYTES, 0))
        host, since, command = (
            "".join(filter(str.isprintable, str(fields[name])))[:_MOST_CHARACTERS]
            for name in ("host", "since", "command")
        )
        return Holder(host, max(int(fields["pid"]), 0), since, command)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Holder("an unknown machine", 0, "an unknown time", "of an unknown version")


def _is(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(lock), os.fstat(handle))
    except FileNotFoundError:
        return False


def _self() -> Holder:
    program, *words = sys.argv or [""]
    # Run as the command, or as python -m sae_merge_method.cli.main.
    is_command = Path(program).stem == "sae-merge" or Path(program).parts[-2:] == ("cli", "main.py")
    words = [word for word in words[:1] if not word.startswith("-")]
    command = " ".join(["sae-merge", *words]) if is_command else "called from Python"
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Holder(socket.gethostname(), os.getpid(), since, command)
