"""What was already encoded, kept beside the output until it is whole: kill and run again.

A chunk is a fixed run of batches. One file holds one layer's usage of one chunk, written whole or
not at all; what is there is not encoded again. The same chunks are joined in the same order however
often the work was interrupted, so the result has the same bytes.
"""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.usage import LayerUsage, pack_layer
from sae_merge_method.diagnose.usage import ROWS, Moments, PartialUsage, Without
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.progress import Inputs, Progress
from sae_merge_method.files.writing import write_bytes


class WholeUsage(NamedTuple):
    """What all documents use of one layer's features."""

    usage: LayerUsage
    """By document, as it is stored."""
    explained_variance: float
    """Share of the sampled tokens' variance that the SAE reconstructs."""
    without: npt.NDArray[np.float64]
    """(S, K, F) mean over each side's documents with the tokens of each class left out."""


class ChunkStore:
    """The folder of finished chunks of one diagnosis.

    Args:
        out: The diagnosis folder to be; the chunks lie beside it, hidden.
        inputs: Everything that changes a chunk, by a name a user understands.

    Raises:
        UsageError: Chunks of other inputs stand there; the message names what changed.
    """

    def __init__(self, out: Path, inputs: Inputs) -> None:
        self._progress = Progress(out, inputs, "diagnosis")
        self.folder = self._progress.folder

    def has(self, layer: str, chunk: int) -> bool:
        """Whether this layer's usage of this chunk is there."""
        return self._file(layer, chunk).is_file()

    def save(self, layer: str, chunk: int, parts: Sequence[PartialUsage]) -> None:
        """Keep one layer's usage of one chunk, given in parts, in the order of its documents."""
        from safetensors.numpy import save

        self._progress.begin()
        moments = reduce(Moments.plus, [part.moments for part in parts])
        tensors = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ROWS}
        tensors["sums"] = moments.sums
        without = reduce(Without.plus, [part.without for part in parts])
        used = np.flatnonzero(without.sums.any(axis=(0, 1)))
        # safetensors writes memory as it lies: a selection of columns may lie the other way round.
        tensors["outside"] = np.ascontiguousarray(without.sums[..., used])
        tensors["outside_of"], tensors["outside_documents"] = used, without.documents
        tensors["totals"] = np.array([moments.tokens, moments.squares, moments.residuals])
        write_bytes(self._file(layer, chunk), save(tensors))

    def gather(self, layer: str, d_sae: int, chunks: Sequence[Sequence[int]]) -> WholeUsage:
        """One layer's usage of all documents, put back into their own order.

        Args:
            layer: The layer's key.
            d_sae: Number of its features.
            chunks: By number of the chunk, the places of its documents in the whole list; together
                every document once.

        Raises:
            ArtifactError: A file is damaged.
        """
        rows: list[tuple[npt.NDArray[np.generic], ...]] = [()] * sum(map(len, chunks))
        moments, without = [], []
        for number, documents in enumerate(chunks):
            part = self.load(layer, number, d_sae)
            for document, end, length in zip(documents, np.cumsum(part.lengths), part.lengths, strict=True):
                entries = slice(end - length, end)
                rows[document] = (
                    part.indices[entries].astype(np.uint32),
                    part.means[entries],
                    part.counts[entries].astype(np.uint32),
                )
            moments.append(part.moments)
            without.append(part.without)
        indices, means, counts = (np.concatenate(column) for column in zip(*rows, strict=True))
        lengths = np.array([len(row[0]) for row in rows])
        return WholeUsage(
            pack_layer(d_sae, lengths, indices, means, counts),
            reduce(Moments.plus, moments).explained_variance(),
            reduce(Without.plus, without).means(),
        )

    def load(self, layer: str, chunk: int, d_sae: int) -> PartialUsage:
        """Read one layer's usage of one chunk.

        Args:
            layer: The layer's key.
            chunk: Which chunk.
            d_sae: Number of its features.

        Raises:
            ArtifactError: The file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self._file(layer, chunk)
        try:
            tensors = load_file(path)
            tokens, squares, residuals = tensors.pop("totals").tolist()
            moments = Moments(tokens, squares, tensors.pop("sums"), residuals)
            outside, documents = tensors.pop("outside"), tensors.pop("outside_documents")
            sums = np.zeros((*outside.shape[:2], d_sae))
            sums[..., tensors.pop("outside_of")] = outside
            return PartialUsage(**tensors, moments=moments, without=Without(sums, documents))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from error

    def discard(self) -> None:
        """Forget everything: the diagnosis is whole."""
        self._progress.discard()

    def _file(self, layer: str, chunk: int) -> Path:
        return self.folder / layer / f"chunk-{chunk:05d}.safetensors"
