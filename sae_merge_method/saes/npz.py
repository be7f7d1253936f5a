"""Arrays in a numpy archive (``.npz``) seen through its directory: names, types, shapes and byte ranges.

The archive is a zip file whose members are not compressed, so that a few rows of an array can be read
where they lie. Nothing pickled is opened, and no length that a header claims is believed.
"""

import os
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from sae_merge_method.errors import ModelError
from sae_merge_method.files.regular import open_regular
from sae_merge_method.models.dtypes import DTYPES
from sae_merge_method.models.headers import TensorEntry

_LOCAL_HEADER = 30  # bytes of a zip member's own header before its name
_KINDS = {dtype.numpy: kind for kind, dtype in DTYPES.items() if dtype.numpy and kind != "BF16"}


def read_npz_header(file: Path) -> Mapping[str, TensorEntry]:
    """Entries of one ``.npz`` file, by name.

    Raises:
        ModelError: Missing or damaged, or an array that is compressed, pickled, in Fortran's order, or of
            a type that is not floating point.
    """
    try:
        with os.fdopen(open_regular(file), "rb") as stream, zipfile.ZipFile(stream) as archive:
            entries = (_entry(file, stream, member) for member in archive.infolist())
            return {entry.name: entry for entry in entries}
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, ValueError, struct.error, EOFError, NotImplementedError) as error:
        raise ModelError(f"{file} is no numpy archive that can be read: {error}") from error


def _entry(file: Path, stream: BinaryIO, member: zipfile.ZipInfo) -> TensorEntry:
    name = member.filename.removesuffix(".npy")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ModelError(f"{file}: {name} is compressed: write it again with numpy.savez")
    stream.seek(member.header_offset)
    local = stream.read(_LOCAL_HEADER)
    name_bytes, extra_bytes = struct.unpack("<HH", local[26:30])
    begins = member.header_offset + _LOCAL_HEADER + name_bytes + extra_bytes
    stream.seek(begins)
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read_header(stream)
    kind = _KINDS.get(dtype.str)
    if kind is None or is_fortran:
        order = " in Fortran's order" if is_fortran else ""
        raise ModelError(
            f"{file}: {name} is of numpy type {dtype.str}{order}: expected floating point, by rows"
        )
    start = stream.tell()
    end = start + prod(shape) * np.dtype(dtype).itemsize
    if end != begins + member.file_size or end > os.fstat(stream.fileno()).st_size:
        raise ModelError(
            f"{file}: {name} has {member.file_size} bytes, which its shape {list(shape)} does not fill"
        )
    return TensorEntry(name, file, kind, tuple(shape), start, end)
