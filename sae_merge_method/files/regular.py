"""Opening of files that came from elsewhere: only regular ones, so that nothing we open can hang.

A FIFO blocks whoever opens it until somebody writes, and a device never ends. What a folder of a
model, an SAE or an artifact holds is opened here; what a user names on the command line (a recipe
through a pipe, say) is the user's own.
"""

import os
import stat
from pathlib import Path

from sae_merge_method.files.descriptors import open_plain


def open_regular(path: Path) -> int:
    """File descriptor of a regular file, open for reading; links are followed.

    Raises:
        OSError: There is none, it cannot be read, or it is a FIFO, a socket, a device or a folder.
    """
    _require_regular(path, path.stat())  # before opening: to open a device may already do something
    handle = open_plain(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        _require_regular(path, os.fstat(handle))
    except OSError:
        os.close(handle)
        raise
    return handle


def read_regular(path: Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: See :func:`open_regular`.
    """
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read()


def read_regular_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a regular file, its line ends as ``\\n``.

    Raises:
        OSError: See :func:`open_regular`.
        UnicodeDecodeError: It is no text of that encoding.
    """
    with os.fdopen(open_regular(path), encoding=encoding) as stream:
        return stream.read()


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "expected a regular file, found another kind (a pipe, device or folder)", path)
