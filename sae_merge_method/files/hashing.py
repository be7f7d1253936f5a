"""The one place where bytes are hashed: as they come, or any span of a file.

XXH3 finds damage at the speed of memory, so it is always taken. sha256, which nobody can forge, costs
several times as much as reading and is taken where somebody asks for it.
"""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.descriptors import read_at
from sae_merge_method.files.parallel import Advance
from sae_merge_method.files.regular import open_regular

_AT_ONCE = 1 << 20


class Hashes(NamedTuple):
    """Two hashes of the same bytes, in hex."""

    xxh3: str
    """XXH3-128."""
    sha256: str | None
    """sha256; None where it was not asked for."""


class Hasher:
    """Takes bytes in their order."""

    def __init__(self, *, with_sha256: bool = True) -> None:
        self._fast = xxhash.xxh3_128()
        self._slow = sha256() if with_sha256 else None

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._fast.update(data)
        if self._slow is not None:
            self._slow.update(data)

    def hashes(self) -> Hashes:
        """Of all bytes so far."""
        return Hashes(self._fast.hexdigest(), self._slow.hexdigest() if self._slow is not None else None)


def hash_span(
    handle: int, start: int, nbytes: int, *, with_sha256: bool = True, advance: Advance | None = None
) -> Hashes:
    """Hash a span of an open file, by positioned reads: other threads may read the same handle.

    Args:
        handle: File descriptor, open for reading.
        start: First byte.
        nbytes: Length.
        with_sha256: Take sha256 too.
        advance: Told how many bytes are done.

    Raises:
        EOFError: The file ends inside the span.
    """
    hasher = Hasher(with_sha256=with_sha256)
    buffer = memoryview(bytearray(min(_AT_ONCE, nbytes)))
    end = start + nbytes
    while start < end:
        count = read_at(handle, buffer[: end - start], start)
        if not count:
            raise EOFError
        hasher.update(buffer[:count])
        start += count
        if advance is not None:
            advance(count)
    return hasher.hashes()


def span_xxh3(handle: int, start: int, nbytes: int) -> str:
    """XXH3-128 of a span of an open file, in hex.

    Raises:
        EOFError: The file ends inside the span.
    """
    return hash_span(handle, start, nbytes, with_sha256=False).xxh3


def span_sha256(handle: int, start: int, nbytes: int) -> str:
    """Hex sha256 of a span of an open file.

    Raises:
        EOFError: The file ends inside the span.
    """
    digest = hash_span(handle, start, nbytes).sha256
    assert digest is not None
    return digest


def json_sha256(value: Any) -> str:
    """sha256 of a value that JSON can hold, whatever the order of its keys."""
    return sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Hex sha256 of a whole file.

    Raises:
        SaeMergeError: It cannot be read.
    """
    return _of_file(path, lambda handle, size: span_sha256(handle, 0, size))


def file_sample(path: Path) -> str:
    """Tells a file from others by its size and runs of bytes spread over it; a small one by all its bytes.

    What was trained anew differs everywhere, and is told without reading gigabytes. Name and times do not
    count: a copy of a file, or a download of the same, is no other file.

    Raises:
        SaeMergeError: It cannot be read.
    """
    return _of_file(path, _sample)


_RUN, _RUNS = 1 << 16, 64


def _sample(handle: int, size: int) -> str:
    number = min(_RUNS, -(-size // _RUN))
    starts = [nth * (size - _RUN) // (number - 1) if number > 1 else 0 for nth in range(number)]
    return json_sha256([size, *(span_xxh3(handle, start, min(_RUN, size)) for start in starts)])


def _of_file(path: Path, hashed: Callable[[int, int], str]) -> str:
    """What a function of an open file and its size says."""
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            return hashed(stream.fileno(), os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise SaeMergeError(f"cannot read {path}: {error.strerror}") from error
    except EOFError as error:
        raise SaeMergeError(f"{path} was cut short while it was being read") from error
