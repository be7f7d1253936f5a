"""Read pieces of weight files, sure that each is still the file whose header was checked.

Plain positioned reads, not a memory map: a file that shrinks under a map kills the process.
"""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from sae_merge_method.checkpoints import Checkpoint, TensorEntry
from sae_merge_method.errors import MergeError
from sae_merge_method.safetensors_files import FileStamp


class WeightFiles:
    """Open files of some checkpoints, read by any number of threads; a context manager."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._checkpoints = tuple(checkpoints)
        self._stamps = {path: stamp for c in self._checkpoints for path, stamp in c.stamps.items()}
        self._handles: dict[Path, int] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> "WeightFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def read(self, entry: TensorEntry, first: int, into: memoryview) -> None:
        """Fill ``into`` with a tensor's bytes, from its byte ``first`` on.

        Raises:
            MergeError: The file is not the one whose header was read, or was cut short.
        """
        if os.preadv(self._handle(entry.file), [into], entry.start + first) != len(into):
            raise MergeError(
                f"{entry.file} was cut short while it was being read: it ends inside {entry.name}"
            )

    def require_unchanged(self) -> None:
        """Make sure that nobody wrote to the files that were read.

        Raises:
            MergeError: Somebody did; what was read cannot be trusted.
        """
        for path in self._handles:
            owner = next(c for c in self._checkpoints if path in c.stamps)
            owner.require_unchanged([path])

    def _handle(self, path: Path) -> int:
        with self._opening:
            if path not in self._handles:
                handle = os.open(path, os.O_RDONLY)
                self._handles[path] = handle
                if FileStamp.of(os.fstat(handle)) != self._stamps[path]:
                    raise MergeError(f"{path} changed after its header was read")
            return self._handles[path]
