"""What only some systems do in one step: sharing a file's blocks, and letting two folders swap names.

Each answers whether it was done; where not, who asked copies, or takes several steps.
"""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from sae_merge_method.files.writing import umask

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of one file with another, copied on write
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fs.h
_RENAME_SWAP = 2  # sys/stdio.h of macOS


def share_blocks(source: Path, target: Path) -> bool:
    """Make ``target``, which does not exist, a copy of ``source`` that takes no room until one changes.

    ``FICLONE`` on Linux (Btrfs, XFS), ``clonefile`` on macOS (APFS). Where it is False nothing is there.
    """
    if sys.platform == "linux":
        return _share_on_linux(source, target)
    if sys.platform == "darwin":
        if _called("clonefile", os.fsencode(source.resolve()), os.fsencode(target), 0):
            target.chmod(0o666 & ~umask())  # the source's own came with it: it may be for reading only
            return True
    return False


def _share_on_linux(source: Path, target: Path) -> bool:
    with suppress(ImportError, OSError):  # one that cannot: who copies meets any trouble
        from fcntl import ioctl

        reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                ioctl(writing, _FICLONE, reading)
                return True
            except OSError:
                target.unlink()
            finally:
                os.close(writing)
        finally:
            os.close(reading)
    return False


def swap_names(one: Path, other: Path) -> bool:
    """Let two folders swap names: ``renameat2`` on Linux, ``renamex_np`` on macOS; False where none can."""
    names = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    if sys.platform == "linux":
        return _called("renameat2", _AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if sys.platform == "darwin":
        return _called("renamex_np", *names, _RENAME_SWAP)
    return False


def _called(function: str, *arguments: int | bytes) -> bool:
    """Whether a function of the C library is there and did what it was asked to."""
    with suppress(AttributeError, OSError):
        return bool(getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) == 0)
    return False
