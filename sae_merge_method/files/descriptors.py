"""Open files by number, on every system: how they are opened, read and written at a place, had on the disk.

Linux and macOS have calls for all of it. Windows has no positioned reads and writes: there calls on one file
take turns. It opens no folders: a folder's list of names reaches the disk when the system likes. And it opens
a link as what the link leads to: who must not follow one looks before, and again after.
"""

import errno
import os
import stat
import sys
import threading
from pathlib import Path

if sys.platform == "darwin":
    import fcntl

BY_DESCRIPTOR = os.open in getattr(os, "supports_dir_fd", ()) and hasattr(os, "O_DIRECTORY")
"""Whether a folder can be held open, and its files reached through it, wherever its name may lead by then."""
PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""How every file is opened: not for programs that we start, and as it is."""
WARY = PLAIN | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""How a file is opened that may be anything: no link followed, no wait for a pipe's other end."""
_MOUNT_POINT = 0xA0000003  # winnt.h: what Windows calls a junction, a link between folders
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EROFS, errno.EACCES, errno.EISDIR)
_turns: dict[int, threading.Lock] = {}


def open_plain(path: Path, flags: int, mode: int = 0o666) -> int:
    """Descriptor of a file that is ours, or that the user named; links are followed."""
    return os.open(path, flags | PLAIN, mode)


def open_wary(path: Path | str, flags: int, mode: int = 0o666, *, folder: int | None = None) -> int:
    """Descriptor of a file, or where the system has such of a folder, that is no link.

    Args:
        path: Its name; within ``folder`` one component.
        flags: As ``os.open`` takes them.
        mode: Of a file that is made.
        folder: Descriptor of the folder it is in, where :data:`BY_DESCRIPTOR`.

    Raises:
        OSError: As ``os.open``; with ``errno.ELOOP`` a link stands there.
    """
    if hasattr(os, "O_NOFOLLOW") or flags & os.O_EXCL:
        return os.open(path, flags | WARY, mode, dir_fd=folder)
    before = os.lstat(path) if os.path.lexists(path) else None
    if before is not None and is_link(before):
        raise OSError(errno.ELOOP, "a link stands there", path)
    handle = os.open(path, flags | WARY, mode)
    if before is not None and not os.path.samestat(before, os.fstat(handle)):
        os.close(handle)
        raise OSError(errno.ELOOP, "something else appeared there", path)
    return handle


def is_link(status: os.stat_result) -> bool:
    """Whether what ``lstat`` told of leads elsewhere: a symbolic link, or a junction of Windows."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT


def read_at(handle: int, into: memoryview, first: int) -> int:
    """Fill ``into`` from byte ``first`` on, as far as one call does; any number of threads may call it.

    Returns:
        Bytes read; 0 at the end of the file.
    """
    if hasattr(os, "preadv"):
        return os.preadv(handle, [into], first)
    data = bytes_at(handle, len(into), first)
    into[: len(data)] = data
    return len(data)


def bytes_at(handle: int, most: int, first: int) -> bytes:
    """Up to ``most`` bytes from byte ``first`` on; any number of threads may call it."""
    if hasattr(os, "pread"):
        return os.pread(handle, most, first)
    with _turn(handle):
        os.lseek(handle, first, os.SEEK_SET)
        return os.read(handle, most)


def write_at(handle: int, data: bytes | memoryview, first: int) -> int:
    """Write ``data`` at byte ``first``, as far as one call does; any number of threads may call it.

    Returns:
        Bytes written.
    """
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, data, first)
    with _turn(handle):
        os.lseek(handle, first, os.SEEK_SET)
        return os.write(handle, data)


def _turn(handle: int) -> threading.Lock:
    return _turns.setdefault(handle, threading.Lock())


def sync(handle: int) -> None:
    """Have what was written to an open file on the disk.

    On macOS it is asked to leave the drive's own memory too, which ``fsync`` alone does not do there.
    """
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
        except OSError:  # a file system of another machine knows no such thing
            pass
    os.fsync(handle)


def sync_file(path: Path) -> None:
    """Have a file on the disk."""
    # Windows syncs only what is open for writing.
    handle = open_plain(path, os.O_RDONLY if hasattr(os, "O_DIRECTORY") else os.O_RDWR)
    try:
        sync(handle)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Have a folder's list of names on the disk, where the system can: Windows does it by itself, later."""
    if not BY_DESCRIPTOR:
        return
    handle = open_plain(path, os.O_RDONLY)
    try:
        sync_names(handle)
    finally:
        os.close(handle)


def sync_names(folder: int) -> None:
    """The same of a folder that is held open."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:  # file systems that cannot sync a folder
            raise
