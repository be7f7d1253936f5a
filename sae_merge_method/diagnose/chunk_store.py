"""What was already encoded, kept beside the output until it is whole: kill and run again.

A chunk is a fixed run of batches. One file holds one layer's usage of one chunk, written whole or
not at all; what is there is not encoded again. The same chunks are joined in the same order however
often the work was interrupted, so the result has the same bytes.
"""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_usage import LayerUsage, pack_layer
from sae_merge_method.diagnose.fit import Fit
from sae_merge_method.diagnose.scales import LayerScale
from sae_merge_method.diagnose.token_layout import Rows, Without
from sae_merge_method.diagnose.usage import PartialUsage
from sae_merge_method.files.progress import Inputs, Progress, undamaged
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.layers import Unit

_ROWS = ("counted", "outliers")
_OUTLIERS = ("outlier_tokens", "outlier_ids")


class WholeUsage(NamedTuple):
    """What all documents use of one layer's features."""

    usage: LayerUsage
    """By document, as it is stored."""
    outliers: LayerUsage
    """The same on the outliers that do not count."""
    outlier_ids: tuple[npt.NDArray[np.int64], ...]
    """By document, which of its tokens are outliers, whether they count or not."""
    fit: Fit
    """Of the sampled tokens."""
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
        fit = reduce(Fit.plus, [part.fit for part in parts])
        without = reduce(Without.plus, [part.without for part in parts])
        used = np.flatnonzero(without.sums.any(axis=(0, 1)))
        tensors = {
            f"{which}.{name}": np.concatenate([getattr(getattr(part, which), name) for part in parts])
            for which in _ROWS
            for name in Rows._fields
        }
        tensors |= {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OUTLIERS}
        # safetensors writes memory as it lies: a selection of columns may lie the other way round.
        tensors["outside"] = np.ascontiguousarray(without.sums[..., used])
        tensors["outside_of"], tensors["outside_documents"] = used, without.documents
        tensors["explained"], tensors["squares"] = fit.explained, np.array([fit.residuals, fit.distances])
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
        parts = [self.load(layer, number, d_sae) for number in range(len(chunks))]
        order = [document for documents in chunks for document in documents]
        ids: list[npt.NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * len(order)
        outlier_ids = (
            one for part in parts for one in np.split(part.outlier_ids, np.cumsum(part.outlier_tokens)[:-1])
        )
        for document, of_document in zip(order, outlier_ids, strict=True):
            ids[document] = of_document
        return WholeUsage(
            _in_order(d_sae, [part.counted for part in parts], order),
            _in_order(d_sae, [part.outliers for part in parts], order),
            tuple(ids),
            reduce(Fit.plus, [part.fit for part in parts]),
            reduce(Without.plus, [part.without for part in parts]).means(),
        )

    def peaks(self, layer: str, chunks: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
        """Where each entry of :meth:`gather`'s usage fired most, in their order; -1 outside the target.

        Args:
            layer: The layer's key.
            chunks: As for :meth:`gather`.

        Raises:
            ArtifactError: A file is damaged.
        """
        from safetensors import safe_open

        of_document: dict[int, npt.NDArray[np.int64]] = {}
        for number, documents in enumerate(chunks):
            path = self._file(layer, number)
            with undamaged(path), safe_open(path, "numpy") as chunk:
                lengths, peaks = (chunk.get_tensor(f"counted.{name}") for name in ("lengths", "peaks"))
            parts = np.split(peaks, np.cumsum(lengths)[:-1])
            of_document.update(zip(documents, parts, strict=True))
        return np.concatenate([of_document[document] for document in range(len(of_document))])

    def load(self, layer: str, chunk: int, d_sae: int) -> PartialUsage:
        """Read one layer's usage of one chunk.

        Args:
            layer: The layer's key.
            chunk: Which chunk.
            d_sae: Number of its features.

        Raises:
            ArtifactError: The file is damaged.
        """
        path = self._file(layer, chunk)
        with undamaged(path):
            tensors = _load(path)
            residuals, distances = tensors["squares"].tolist()
            sums = np.zeros((*tensors["outside"].shape[:2], d_sae))
            sums[..., tensors["outside_of"]] = tensors["outside"]
            counted, outliers = (
                Rows(*(tensors[f"{which}.{name}"] for name in Rows._fields)) for which in _ROWS
            )
            return PartialUsage(
                counted,
                outliers,
                tensors["outlier_tokens"],
                tensors["outlier_ids"],
                fit=Fit(tensors["explained"], residuals, distances),
                without=Without(sums, tensors["outside_documents"]),
            )

    def discard(self) -> None:
        """Forget everything: the diagnosis is whole."""
        self._progress.discard()

    def keep_scale(self, layer: Unit, scale: LayerScale) -> None:
        """Freeze what a layer's tokens are held against."""
        from safetensors.numpy import save

        self._progress.begin()
        numbers = np.array([scale.norm, scale.first])
        write_bytes(self._scale(layer), save({"numbers": numbers, "mean": scale.mean}))

    def scale(self, layer: Unit) -> LayerScale | None:
        """What a layer's tokens are held against; None where it was not measured yet.

        Raises:
            ArtifactError: The file is damaged.
        """
        path = self._scale(layer)
        if not path.is_file():
            return None
        with undamaged(path):
            tensors = _load(path)
            norm, first = tensors["numbers"].tolist()
            return LayerScale(norm, first, tensors["mean"])

    def _scale(self, layer: Unit) -> Path:
        return self.folder / "scales" / f"{layer}.safetensors"

    def _file(self, layer: str, chunk: int) -> Path:
        return self.folder / layer / f"chunk-{chunk:05d}.safetensors"


def _in_order(d_sae: int, parts: Sequence[Rows], order: Sequence[int]) -> LayerUsage:
    """The rows of all parts, each put where its document stands."""
    rows: list[tuple[npt.NDArray[np.generic], ...]] = [()] * len(order)
    tokens = np.zeros(len(order), dtype=np.int64)
    documents = iter(order)
    for part in parts:
        for counted, end, length in zip(part.tokens, np.cumsum(part.lengths), part.lengths, strict=True):
            entries, document = slice(end - length, end), next(documents)
            tokens[document] = counted
            rows[document] = (
                part.indices[entries].astype(np.uint32),
                part.means[entries],
                part.counts[entries].astype(np.uint32),
            )
    indices, means, counts = (np.concatenate(column) for column in zip(*rows, strict=True))
    return pack_layer(d_sae, tokens, np.array([len(row[0]) for row in rows]), indices, means, counts)


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors.numpy import load_file

    tensors: dict[str, npt.NDArray[Any]] = load_file(path)
    return tensors
