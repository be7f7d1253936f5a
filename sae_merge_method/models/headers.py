"""One safetensors file seen through its header: names, dtypes, shapes and byte ranges.

No torch and no tensor data here. Nothing the header claims is believed: lengths and offsets
are held against the file, and no two tensors may share a byte, so that whoever writes one
tensor's range cannot touch another's.
"""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.errors import ModelError
from sae_merge_method.files.regular import open_regular
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES

_MOST_HEADER_BYTES = 100_000_000  # safetensors' own limit
_MOST_DIMENSIONS = 64  # more is an attack on whoever multiplies them


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor's bytes lie, and what they are."""

    name: str
    file: Path
    dtype: str
    """safetensors' name, for example "BF16"."""
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the beginning of the file."""
    end: int
    """One past the last byte."""

    @property
    def nbytes(self) -> int:
        """Length of the tensor's bytes."""
        return self.end - self.start

    @property
    def n_values(self) -> int:
        """How many values the tensor has."""
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether it is of a type that can be computed with, and that recipes can name."""
        return self.dtype in DTYPE_NAMES


class FileStamp(NamedTuple):
    """What tells one state of a file from another without reading it."""

    device: int
    inode: int
    size: int
    modified_ns: int
    # Not the inode's own change time: a hard link made by somebody else moves that.

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStamp":
        """The stamp in the answer of ``stat``."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Header(NamedTuple):
    """A file's tensors, and the state it was in when they were read."""

    entries: dict[str, TensorEntry]
    stamp: FileStamp


def read_header(file: Path) -> dict[str, TensorEntry]:
    """Entries of one safetensors file, in the order of their names.

    Raises:
        ModelError: Missing, truncated, or a header that lies about the file.
    """
    return read_stamped_header(file).entries


def read_stamped_header(file: Path) -> Header:
    """The same, with the state of the file.

    Raises:
        ModelError: See :func:`read_header`.
    """
    try:
        with os.fdopen(open_regular(file), "rb") as stream:
            stamp = FileStamp.of(os.fstat(stream.fileno()))
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else -1
            if not 2 <= length <= min(_MOST_HEADER_BYTES, stamp.size - 8):
                raise ModelError(f"{file} is not a safetensors file, or is cut short ({stamp.size} bytes)")
            header = json.loads(stream.read(length), object_pairs_hook=_once)
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} has a damaged safetensors header: {error}") from error
    if not isinstance(header, dict):
        raise ModelError(f"{file} has a damaged safetensors header: expected an object")
    header.pop("__metadata__", None)
    entries = {name: _entry(file, name, header[name], 8 + length, stamp.size) for name in sorted(header)}
    _require_seamless(file, list(entries.values()), 8 + length, stamp.size)
    return Header(entries, stamp)


def make_header(tensors: Mapping[str, tuple[str, Sequence[int]]]) -> bytes:
    """The beginning of a safetensors file, up to the first tensor's bytes; the tensors follow in this order.

    Args:
        tensors: By name, dtype and shape.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    reached = 0
    for name, (dtype, shape) in tensors.items():
        end = reached + prod(shape) * DTYPES[dtype].nbytes
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, end]}
        reached = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # safetensors begins its data at a multiple of eight
    return struct.pack("<Q", len(text)) + text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands there twice")
    for name in fields:
        name.encode()  # half of a surrogate pair is no text: a ValueError
    return fields


def _entry(file: Path, name: str, fields: Any, offset: int, size: int) -> TensorEntry:
    try:
        dtype, shape = str(fields["dtype"]), tuple(fields["shape"])
        first, last = fields["data_offsets"]
        sound = len(shape) <= _MOST_DIMENSIONS and all(
            type(n) is int and 0 <= n < 1 << 63 for n in (*shape, first, last)
        )
        sound = sound and first <= last and offset + last <= size
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise ModelError(f"{file}: the header's entry for {name} is damaged, or points outside the file")
    known = DTYPES.get(dtype)
    if known is not None and last - first != prod(shape) * known.nbytes:
        raise ModelError(
            f"{file}: {name} is {dtype} {list(shape)}, which does not fill its {last - first} bytes"
        )
    return TensorEntry(name, file, dtype, shape, offset + first, offset + last)


def _require_seamless(file: Path, entries: list[TensorEntry], start: int, size: int) -> None:
    """As safetensors itself demands: the tensors fill the file without gap or overlap."""
    reached = start
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.end)):
        if entry.start != reached:
            fault = "overlaps the one before it" if entry.start < reached else "leaves a gap before it"
            raise ModelError(f"{file}: the header is damaged: {entry.name} {fault}")
        reached = entry.end
    if reached != size:
        raise ModelError(f"{file}: expected {reached} bytes from its header, the file has {size}")
