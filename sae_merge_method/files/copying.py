"""Put a copy of a file in place at the least cost: shared blocks, a hard link, or a copy by the kernel."""

import errno
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.errors import MergeError
from sae_merge_method.files.descriptors import bytes_at, open_plain, write_at
from sae_merge_method.files.one_step import share_blocks
from sae_merge_method.files.parallel import Advance

LOG = logging.getLogger(__name__)

Span = tuple[int, int]
"""First byte, and one past the last."""

_STEP = 1 << 23  # who writes elsewhere in the same file waits for no longer than this takes
_CANNOT = {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.EBADF}


@dataclass(frozen=True)
class Copying:
    """A file that stands in its place, and what is still to be copied into it."""

    source: Path
    target: Path
    spans: tuple[Span, ...]

    def run(self, advance: Advance | None = None) -> None:
        """Copy what is missing, by the kernel where it can.

        Raises:
            MergeError: ``source`` is shorter than it was when it was checked.
        """
        if not self.spans:
            return
        reading, writing = open_plain(self.source, os.O_RDONLY), open_plain(self.target, os.O_WRONLY)
        try:
            for first, last in self.spans:
                copy_span(reading, first, writing, first, last - first, advance)
        except EOFError:
            raise MergeError(f"{self.source} was cut short while it was being read") from None
        finally:
            os.close(reading)
            os.close(writing)


def place_file(
    source: Path, target: Path, size: int, *, without: Sequence[Span] = (), link: bool = False
) -> Copying:
    """Make ``target``, which does not exist, the beginning of a copy of ``source``.

    Args:
        source: File to copy; a link is followed.
        target: File to make.
        size: Length of ``source`` as it was checked.
        without: Spans that the caller will write himself; what stands there is undefined.
        link: Make it a hard link where nothing will be written, if the file system allows.

    Returns:
        What is left to copy: nothing where blocks or the whole file could be shared.

    Raises:
        MergeError: The disk has no room.
    """
    if link and not without:
        try:
            target.hardlink_to(source.resolve())
            return Copying(source, target, ())
        except OSError as error:
            LOG.warning("%s cannot be hard-linked (%s): copied instead", source, error.strerror)
    if share_blocks(source, target):
        return Copying(source, target, ())
    _require_room(target, size)
    writing = open_plain(target, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        os.ftruncate(writing, size)
    finally:
        os.close(writing)
    return Copying(source, target, tuple(_gaps(without, size)))


def _gaps(without: Sequence[Span], size: int) -> Iterator[Span]:
    reached = 0
    for first, last in (*sorted(without), (size, size)):
        if first > reached:
            yield reached, first
        reached = max(reached, last)


def _require_room(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise MergeError(f"{target.parent.parent} has no room: {size:,} bytes needed, {free:,} free")


def copy_span(
    reading: int, first: int, writing: int, at: int, nbytes: int, advance: Advance | None = None
) -> None:
    """Copy a span of one open file into another, by the kernel where it can.

    Args:
        reading: File descriptor to read.
        first: First byte there.
        writing: File descriptor to write.
        at: Where the span begins there.
        nbytes: Length.
        advance: Told how many bytes are done.

    Raises:
        EOFError: The first file ends inside the span.
    """
    by_kernel = hasattr(os, "copy_file_range")
    while nbytes:
        step = min(_STEP, nbytes)
        if by_kernel:
            try:
                done = os.copy_file_range(reading, writing, step, first, at)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                by_kernel = False
                continue
        else:
            done = write_at(writing, bytes_at(reading, min(step, 1 << 22), first), at)
        if not done:
            raise EOFError
        first, at, nbytes = first + done, at + done, nbytes - done
        if advance is not None:
            advance(done)
