"""The hash that is kept of an SAE's encoder: over its parameters, in the precision they are used in.

One format for who has them in memory and for who reads them from files, piece by piece and without torch.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple


class Parameter(NamedTuple):
    """One parameter as it is used."""

    dtype: str
    """As recipes write it, for example "float32"."""
    shape: tuple[int, ...]
    data: Iterable[memoryview]
    """Its bytes in that precision, in pieces."""


def encoder_sha256(parameters: Mapping[str, Parameter]) -> str:
    """Hex sha256 over an encoder's parameters, in the order of their names."""
    digest = sha256()
    for name, parameter in sorted(parameters.items()):
        digest.update(f"{name} torch.{parameter.dtype} {parameter.shape}\n".encode())
        for piece in parameter.data:
            digest.update(piece)
    return digest.hexdigest()
