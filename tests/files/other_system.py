"""A Python of another system, as far as it can be played on Linux: what it lacks is hidden, what it forbids fails.

Run as a script: the system's name, then what to do, one command line of sae-merge an argument. What others' libraries
ask of the system they have asked before: it is our own code alone that meets the other one.
"""

import builtins
import ctypes
import io
import os
import shlex
import shutil
import signal
import sys
import types
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

POSIX_ONLY_MODULES = ("fcntl", "grp", "pwd", "resource", "termios")
POSIX_ONLY_CALLS = (
    "copy_file_range", "fchmod", "fork", "forkpty", "getuid", "pread", "preadv", "pwrite", "pwritev",
    "sched_getaffinity", "sendfile", "statvfs",
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK",
)  # fmt: skip
POSIX_ONLY_SIGNALS = ("SIGKILL", "SIG_BLOCK", "SIG_SETMASK", "pthread_sigmask")


def forget_ours() -> None:
    """Have our modules imported again; others' stay."""
    for name in [name for name in sys.modules if name.split(".")[0] == "sae_merge_method"]:
        del sys.modules[name]


def without_fcntl() -> None:
    """A Python on Linux that was built without it."""
    sys.modules["fcntl"] = None


def windows() -> None:
    """No calls of POSIX, no links for us, no folder opened, and an open file's name cannot be taken away."""
    import fcntl

    flock, seek, usage = fcntl.flock, os.lseek, shutil.disk_usage(".")

    def locking(handle: int, mode: int, nbytes: int) -> None:
        assert (mode, nbytes) == (2, 1) and seek(handle, 0, os.SEEK_CUR) > 1 << 30
        flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
    for name in POSIX_ONLY_MODULES:
        sys.modules[name] = None
    for name in POSIX_ONLY_SIGNALS:
        delattr(signal, name)
    for name in POSIX_ONLY_CALLS:
        if hasattr(os, name):
            delattr(os, name)
    os.supports_dir_fd = set()
    shutil._use_fd_functions = shutil._USE_CP_SENDFILE = False
    shutil.disk_usage = lambda path: usage
    _forbid("open", lambda path, *_, **more: Path(path).is_dir() or more.get("dir_fd") is not None)
    _forbid("rename", lambda old, new, **_: os.path.lexists(new) or _is_open(old))
    _forbid("replace", lambda old, new, **_: Path(new).is_dir() or _is_open(new) or _is_open(old))
    for name in ("unlink", "remove"):
        _forbid(name, lambda path, **_: _is_open(path))
    _forbid("symlink", lambda *_, **__: True)
    synced = os.fsync

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fdinfo/{handle}").read_text().split()[3][-1] == "0":
            raise OSError(9, "Bad file descriptor")  # open for reading alone
        synced(handle)

    os.fsync = fsync


def _forbid(name: str, what: Callable[..., bool]) -> None:
    call = getattr(os, name)

    def guarded(*arguments: Any, **more: Any) -> Any:
        if what(*arguments, **more):
            raise PermissionError(13, "Access is denied", str(arguments[0]))
        return call(*arguments, **more)

    setattr(os, name, guarded)


def _is_open(path: Any) -> bool:
    """Whether this process has a file open, or one in a folder."""
    name = Path(path).resolve()
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if handle.readlink().is_relative_to(name):
                return True
    return False


class _LibSystem:
    """The two calls of macOS' C library that are asked for, as its manual describes them."""

    def clonefile(self, source: bytes, target: bytes, flags: int) -> int:
        if Path(os.fsdecode(target)).exists():
            return -1
        shutil.copyfile(source, target)
        Path(os.fsdecode(target)).chmod(0o400)  # the source's mode comes with it, here the strictest
        return 0

    def renamex_np(self, one: bytes, other: bytes, flags: int) -> int:
        assert flags == 2
        return int(_LIBC.renameat2(-100, one, -100, other, 2))


_LIBC = ctypes.CDLL(None)


def macos() -> None:
    """No call of Linux' own, and those of macOS in their place."""
    import fcntl

    for name in ("copy_file_range", "sched_getaffinity"):
        delattr(os, name)
    fcntl.F_FULLFSYNC = 51  # which Linux refuses: as a network drive would there
    ctypes.CDLL = lambda *_, **__: _LibSystem()


SYSTEMS = {"no fcntl": ("linux", without_fcntl), "Windows": ("win32", windows), "macOS": ("darwin", macos)}


def main() -> None:
    """Do what is asked as on another system; prints each command line, its exit code and what it said."""
    system, *lines = sys.argv[1:]
    from sae_merge_method.cli import main as before

    for line in ("merge", "undo", "diff", "diagnose"):  # with all that they import of others
        before.road.get_command(None, line)
    import sae_merge_method.merge.in_place
    import sae_merge_method.merge.run  # noqa: F401

    forget_ours()
    platform, play = SYSTEMS[system]
    sys.platform = platform
    play()
    from sae_merge_method.cli.main import main as run

    held = ExitStack()
    for line in lines:
        words, said = shlex.split(line), io.StringIO()
        code: Any = 0
        if words[0] == "hold":
            from sae_merge_method.files.lock import locked

            held.enter_context(locked(Path(words[1])))
            builtins.print(0, line, flush=True)
            continue
        sys.argv = ["sae-merge", *words]
        try:
            with redirect_stdout(said), redirect_stderr(said):
                run()
        except SystemExit as end:
            code = end.code
        builtins.print(code, line, said.getvalue().strip().replace("\n", " | ")[-400:], flush=True)


if __name__ == "__main__":
    main()
