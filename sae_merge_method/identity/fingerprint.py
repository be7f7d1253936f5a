"""Taking a model's fingerprint: samples of every decoder layer's tensors and of the embedding.

It costs a few kilobytes of each tensor, and is the same for every layout of one model: tensors are known
by layer and part, not by name, and where they lie does not count. Left out are the vision tower, the final
norm and the head, which no layer's output depends on, and what a model computes when it is loaded.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.constants import stated_constants
from sae_merge_method.models.dtypes import DTYPE_NAMES, DTYPES, Floats, narrow
from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.reading import read_values, samples
from sae_merge_method.models.tensor_names import common_name

_ROUNDED_TO = ("F32", "F16", "BF16")

_OF_A_ROW = 256
"""Values of a token's embedding that are looked at."""
_POWERS = 13
"""How many powers of two are taken as tokens; the largest, 4096, is in every real vocabulary's first half."""


class _Sampled(NamedTuple):
    """A tensor, and which of its values are looked at."""

    name: str
    """The same in every layout."""
    shape: tuple[int, ...]
    """Its axes that no padding changes."""
    entry: TensorEntry
    runs: tuple[tuple[int, int], ...]
    """(first, count) of consecutive values."""


def fingerprint(checkpoint: Checkpoint) -> Fingerprint:
    """The fingerprint of a checkpoint.

    Raises:
        ModelError: A file is damaged.
    """
    tensors = sha256()
    numbers = {kind: sha256() for kind in _ROUNDED_TO}
    stored: set[str] = set()
    for one in _sampled(checkpoint):
        label = f"{one.name} {list(one.shape)}\n".encode()
        tensors.update(label)
        stored.add(one.entry.dtype)
        values = np.concatenate([read_values(one.entry, *run) for run in one.runs])
        for kind, digest in numbers.items():
            digest.update(label + _rounded(values, kind))
    narrowest = min(stored, key=lambda kind: (DTYPES[kind].nbytes, kind), default="F32")
    return Fingerprint(
        dtype=DTYPE_NAMES[narrowest],
        tensors=tensors.hexdigest(),
        numbers={DTYPE_NAMES[kind]: digest.hexdigest() for kind, digest in numbers.items()},
        constants=stated_constants(checkpoint.text_config),
    )


def _sampled(checkpoint: Checkpoint) -> Iterator[_Sampled]:
    common = {common_name(name): entry for name, entry in checkpoint.tensors.items() if entry.is_float}
    # Where the head is the embedding, a checkpoint may hold it under the one name or the other.
    names = (*vocabulary().embeddings, *vocabulary().heads)
    embedding = next((common[name] for name in names if name in common), None)
    if embedding is not None and len(embedding.shape) == 2:
        count, width = embedding.shape
        runs = tuple((row * width, min(width, _OF_A_ROW)) for row in _rows(count))
        yield _Sampled("embedding", (width,), embedding, runs)
    for key, entry in sorted(checkpoint.layer_tensors.items()):
        if entry.is_float:
            runs = tuple(samples(entry.n_values))
            yield _Sampled(f"{key.layer} {key.part}", entry.shape, entry, runs)


def _rows(count: int) -> list[int]:
    """Tokens whose embeddings are looked at: none of those that padding adds or cuts at the end."""
    return [0, *(1 << power for power in range(_POWERS) if 2 << power < count)]


def _rounded(values: Floats, kind: str) -> bytes:
    """The bytes of numbers stored in a type; of numbers that are too large for it, in float32."""
    numbers = values.astype(np.float32)
    out = np.empty(numbers.shape, DTYPES[kind].numpy)
    fits = narrow(numbers, kind, out, np.empty_like(numbers))
    return out.tobytes() if fits else numbers.tobytes()
