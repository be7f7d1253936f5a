"""Tensors by key, in a share of the free memory, then of the free disk; what is beyond is not kept."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.files.descriptors import read_at, write_at
from sae_merge_method.models.devices import free_memory

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger(__name__)

_SHARE = 4
"""One part in so many of what is free is taken at most."""


class _OnDisk(NamedTuple):
    start: int
    shape: "torch.Size"
    dtype: "torch.dtype"


class KeptTensors:
    """Copies of tensors, put and got by key: in memory while there is room, then in one file on the disk.

    The file has no name, and is gone with the process.
    """

    def __init__(self, folder: Path, sharers: int = 1) -> None:
        """Find out how much room there is.

        Args:
            folder: On the disk to use.
            sharers: Processes that do the same beside one another, this one among them.
        """
        import torch

        self._memory: dict[bytes, torch.Tensor] = {}
        self._disk: dict[bytes, _OnDisk] = {}
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  it lives as long as we do
        self._left = free_memory(torch.device("cpu")) // (_SHARE * sharers)
        self._left_on_disk = shutil.disk_usage(folder).free // (_SHARE * sharers)
        self._refused: set[bytes] = set()
        self._end = 0
        self.nbytes = 0
        """Of all tensors."""

    def __len__(self) -> int:
        return len(self._memory) + len(self._disk)

    def __contains__(self, key: bytes) -> bool:
        return key in self._memory or key in self._disk

    def has_refused(self, key: bytes) -> bool:
        """Whether there was no room for what was to be put there; there will not be."""
        return key in self._refused

    def get(self, key: bytes) -> "torch.Tensor | None":
        """A copy of what was put there last; None where there was no room for it."""
        import torch

        if key in self._memory:
            return self._memory[key].clone()
        if key not in self._disk:
            return None
        at = self._disk[key]
        tensor = torch.empty(at.shape, dtype=at.dtype)
        into, first = _bytes_of(tensor), at.start
        while into:
            done = read_at(self._file.fileno(), into, first)
            into, first = into[done:], first + done
        return tensor

    def put(self, key: bytes, tensor: "torch.Tensor") -> None:
        """Keep a tensor, in the place of the one of that key, which is as large; or not, for want of room."""
        if key not in self:
            if tensor.nbytes <= self._left:
                self._left -= tensor.nbytes
            elif tensor.nbytes <= self._left_on_disk:
                self._disk[key] = _OnDisk(self._end, tensor.shape, tensor.dtype)
                self._end += tensor.nbytes
                self._left_on_disk -= tensor.nbytes
            else:
                self._refused.add(key)
                return
            self.nbytes += tensor.nbytes
        copied = tensor.cpu().clone()
        if key not in self._disk:
            self._memory[key] = copied
            return
        data, first = _bytes_of(copied), self._disk[key].start
        try:
            while data:
                done = write_at(self._file.fileno(), data, first)
                data, first = data[done:], first + done
        except OSError as error:  # others filled the disk meanwhile
            LOG.info("%s: no more is kept on the disk", error.strerror)
            del self._disk[key]
            self._refused.add(key)
            self._left_on_disk = 0
            self.nbytes -= copied.nbytes


def _bytes_of(tensor: "torch.Tensor") -> memoryview:
    import torch

    view: memoryview = tensor.view(-1).view(torch.uint8).numpy().data
    return view
