"""The files of one folder, reached through its descriptor: no link leads out of it.

What a folder from elsewhere holds is hostile until it was looked at: every name here is one
component, opened without following links, and only regular files are read or written. Windows
opens no folders: there a file is reached by the folder's name, which somebody who may write above
it could make lead elsewhere while this runs.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sae_merge_method.errors import MergeError
from sae_merge_method.files.copying import copy_span
from sae_merge_method.files.descriptors import BY_DESCRIPTOR, is_link, open_plain, open_wary, sync, sync_names
from sae_merge_method.files.hashing import span_sha256

_INCOMING = ".incoming"


class Inside:
    """A folder that is held open."""

    def __init__(self, path: Path, handle: int | None) -> None:
        """Wrap an open folder.

        Args:
            path: Its name.
            handle: Its descriptor, closed by who opened it; None where folders have none.
        """
        self.path = path
        self._handle = handle

    def _named(self, name: str) -> str | Path:
        """What a file is called to the system, which is told the folder's descriptor beside."""
        return self.path / name if self._handle is None else name

    @classmethod
    @contextmanager
    def hold(cls, path: Path) -> Iterator["Inside"]:
        """Hold a folder that the user named; links in that name are the user's own."""
        if not BY_DESCRIPTOR:
            yield cls(path, None)
            return
        handle = open_plain(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield cls(path, handle)
        finally:
            os.close(handle)

    @contextmanager
    def folder(self, name: str) -> Iterator["Inside"]:
        """Hold a folder in it.

        Raises:
            MergeError: A link, or no folder.
        """
        path, handle = self.path / name, None
        try:
            if self._handle is not None:
                handle = open_wary(name, os.O_RDONLY | os.O_DIRECTORY, folder=self._handle)
            elif is_link(path.lstat()) or not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except OSError as error:
            raise MergeError(
                f"expected a folder, no link, at {path}: {error.strerror}; nothing was changed"
            ) from None
        try:
            yield Inside(path, handle)
        finally:
            if handle is not None:
                os.close(handle)

    def holds(self, name: str) -> bool:
        """Whether anything bears that name, a broken link too."""
        try:
            os.stat(self._named(name), dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def open(self, name: str, *, writing: bool = False) -> Iterator[int]:
        """The descriptor of a file.

        Raises:
            MergeError: Missing, a link, or not a regular file.
        """
        access = os.O_RDWR if writing else os.O_RDONLY
        try:
            handle = open_wary(self._named(name), access, folder=self._handle)
        except OSError as error:
            what = "a symbolic link stands there" if error.errno == errno.ELOOP else error.strerror
            raise MergeError(f"expected a file at {self.path / name}: {what}") from None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise MergeError(f"expected a regular file at {self.path / name}")
            yield handle
        finally:
            os.close(handle)

    def sha256(self, name: str) -> str | None:
        """Hex sha256 of a file; None where there is nothing.

        Raises:
            MergeError: A link, or not a regular file.
        """
        if not self.holds(name):
            return None
        with self.open(name) as handle:
            try:
                return span_sha256(handle, 0, os.fstat(handle).st_size)
            except EOFError:
                raise MergeError(f"{self.path / name} was cut short while it was being read") from None

    def write(self, name: str, data: bytes, via: "Inside | None" = None) -> None:
        """Put ``data`` in the place of a file, whole or not at all; ``via`` as in :meth:`put`."""
        via = via or self
        with via._incoming() as handle:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            sync(handle)
        via.move(_INCOMING, self, name)

    def put(self, name: str, source: int, via: "Inside") -> None:
        """Put a copy of an open file in the place of ``name``, whole or not at all.

        Args:
            name: The file's name; a link of that name is replaced, never followed.
            source: Descriptor of the file to copy.
            via: Folder of the same disk in which the copy is made.
        """
        via.receive(source)
        via.deliver(self, name)

    def receive(self, source: int) -> None:
        """Make a copy of an open file here, for :meth:`deliver`."""
        status = os.fstat(source)
        with self._incoming() as handle:
            try:
                copy_span(source, 0, handle, 0, status.st_size)
            except EOFError:
                raise MergeError(f"a file ended early while it was copied to {self.path}") from None
            if hasattr(os, "fchmod"):  # files of Windows have no such bits
                os.fchmod(handle, stat.S_IMODE(status.st_mode))
            sync(handle)

    def deliver(self, target: "Inside", name: str) -> None:
        """Put what was received here in the place of a file; on Windows nobody may have that one open."""
        self.move(_INCOMING, target, name)

    @contextmanager
    def _incoming(self) -> Iterator[int]:
        with suppress(FileNotFoundError):  # left by one that was killed
            os.unlink(self._named(_INCOMING), dir_fd=self._handle)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        handle = open_wary(self._named(_INCOMING), flags, folder=self._handle)
        try:
            yield handle
        finally:
            os.close(handle)

    def move(self, name: str, target: "Inside", new_name: str) -> None:
        """Rename a file into another folder of the same disk; on the disk when it returns."""
        old, new = self._named(name), target._named(new_name)
        os.replace(old, new, src_dir_fd=self._handle, dst_dir_fd=target._handle)
        target.sync()
        if target is not self:
            self.sync()

    def remove(self, name: str) -> None:
        """Remove a file's name; on the disk when it returns."""
        os.unlink(self._named(name), dir_fd=self._handle)
        self.sync()

    def set_aside(self, name: str) -> str:
        """Give a file a name that nothing bears: ``NAME.set-aside``, then ``NAME.set-aside-2``, ..."""
        free, number = f"{name}.set-aside", 1
        while self.holds(free):
            number += 1
            free = f"{name}.set-aside-{number}"
        self.move(name, self, free)
        return free

    def sync(self) -> None:
        """Have the folder's list of names on the disk, where the system can."""
        if self._handle is not None:
            sync_names(self._handle)
