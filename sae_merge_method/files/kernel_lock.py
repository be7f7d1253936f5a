"""The kernel's lock on an open file, which ends with its process: ``flock``, or on Windows ``msvcrt``.

Where Python has neither, no lock is ever had: every lock file is then respected until somebody removes it.
"""

import errno
import os
import sys

ON_WINDOWS = sys.platform == "win32"
"""There an open file cannot be removed, and a folder with an open file in it cannot be renamed."""

if sys.platform == "win32":
    import msvcrt

    _FAR = (1 << 31) - 2  # the locked byte cannot be read: none that a lock file has

    def kernel_lock(handle: int) -> bool:
        """Take the kernel's lock on an open file, without waiting; it ends with the descriptor.

        Returns:
            False where another has it, or the file system knows none.
        """
        at = os.lseek(handle, 0, os.SEEK_CUR)
        try:
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, at, os.SEEK_SET)
        return True

else:
    _REFUSED = (errno.EWOULDBLOCK, errno.EACCES, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)

    def kernel_lock(handle: int) -> bool:
        """Take the kernel's lock on an open file or folder, without waiting; it ends with the process.

        Returns:
            False where another has it, or the file system or this Python knows none.
        """
        try:
            import fcntl
        except ImportError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            return False
        return True
