"""Put a copy of a file in place at the least cost: shared blocks, a hard link, or a copy by the kernel."""

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sae_merge_method.errors import MergeError

LOG = logging.getLogger(__name__)

Span = tuple[int, int]
"""First byte, and one past the last."""
Advance = Callable[[int], None]
"""Told how many bytes were dealt with."""

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of one file with another, copied on write
_STEP = 1 << 26
_CANNOT = {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.EBADF}


def place_file(
    source: Path,
    target: Path,
    size: int,
    advance: Advance,
    *,
    without: Sequence[Span] = (),
    link: bool = False,
) -> None:
    """Make ``target``, which does not exist, hold what ``source`` holds.

    Args:
        source: File to copy; a link is followed.
        target: File to make.
        size: Length of ``source`` as it was checked.
        advance: Called with bytes done.
        without: Spans that the caller will write himself; what stands there is undefined.
        link: Make it a hard link where nothing will be written, if the file system allows.

    Raises:
        MergeError: ``source`` is shorter than ``size``, or the disk has no room.
    """
    if link and not without:
        try:
            target.hardlink_to(source.resolve())
            advance(size)
            return
        except OSError as error:
            LOG.warning("%s cannot be hard-linked (%s): copied instead", source, error.strerror)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    reading, writing = os.open(source, os.O_RDONLY), os.open(target, flags, 0o666)
    try:
        if not _share_blocks(reading, writing):
            spans = list(_gaps(without, size))
            _require_room(target, size)
            os.ftruncate(writing, size)
            for first, last in spans:
                _copy(source, reading, writing, first, last, advance)
        else:
            advance(size - sum(last - first for first, last in without))
    finally:
        os.close(reading)
        os.close(writing)


def _share_blocks(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError:  # another file system, or one that cannot: the copy will tell of any real trouble
        return False
    return True


def _gaps(without: Sequence[Span], size: int) -> Iterator[Span]:
    reached = 0
    for first, last in (*sorted(without), (size, size)):
        if first > reached:
            yield reached, first
        reached = max(reached, last)


def _require_room(target: Path, size: int) -> None:
    disk = os.statvfs(target.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < size:
        raise MergeError(f"{target.parent.parent} has no room: {size:,} bytes needed, {free:,} free")


def _copy(source: Path, reading: int, writing: int, first: int, last: int, advance: Advance) -> None:
    by_kernel = hasattr(os, "copy_file_range")
    while first < last:
        step = min(_STEP, last - first)
        if by_kernel:
            try:
                done = os.copy_file_range(reading, writing, step, first, first)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                by_kernel = False
                continue
        else:
            done = os.pwrite(writing, os.pread(reading, min(step, 1 << 22), first), first)
        if not done:
            raise MergeError(f"{source} was cut short while it was being read")
        first += done
        advance(done)
