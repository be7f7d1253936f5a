"""``diagnosis/features.safetensors``: how much each document used each feature, layer by layer.

Enough to score, select and project again without the model. One layer is a compressed sparse
row matrix, documents x features; a document's entry is the feature's mean activation over the
document's counted tokens and the number of tokens it fired on.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.diagnosis import USAGE_FILE
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.writing import write_bytes

_VERSION = 2
# safetensors writes metadata in hash order: one key keeps the bytes the same.
_HEADER = "sae_merge_usage"
_HALF_MAX_EXPONENT = 15

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]


class LayerUsage(NamedTuple):
    """One layer's usage, N documents x F features, in compressed sparse rows.

    Values are kept as float16 times a power of two: 11 significant bits down to 2e-9 of the
    layer's largest value, in half the space. Scores are computed from what is stored here, so
    a score can always be recomputed exactly.
    """

    d_sae: int
    """F, the number of the SAE's features."""
    exponent: int
    """Stored value times 2**exponent is the mean activation."""
    indptr: npt.NDArray[np.int64]
    """(N + 1,) where each document's entries start."""
    indices: Integers
    """(nnz,) feature of each entry, ascending within a document."""
    values: npt.NDArray[np.float16]
    """(nnz,) scaled mean activation over the document's counted tokens."""
    counts: Integers
    """(nnz,) counted tokens of the document on which the feature fired."""

    def first(self, count: int) -> "LayerUsage":
        """The first documents alone."""
        stop = self.indptr[count]
        return self._replace(
            indptr=self.indptr[: count + 1],
            indices=self.indices[:stop],
            values=self.values[:stop],
            counts=self.counts[:stop],
        )

    def mean_over(self, documents: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """(F,) mean activation, mean over some of the documents."""
        entries = documents[self.rows()]
        features = self.indices[entries].astype(np.int64)
        sums = np.bincount(features, weights=self.means()[entries], minlength=self.d_sae)
        return np.asarray(sums / max(1, int(documents.sum())))

    def rows(self) -> npt.NDArray[np.int64]:
        """(nnz,) document of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def means(self) -> npt.NDArray[np.float64]:
        """(nnz,) mean activation of each entry."""
        return np.ldexp(self.values.astype(np.float64), self.exponent)


class Documents(NamedTuple):
    """The documents behind every layer: target's first, then each control's, in file order."""

    side: npt.NDArray[np.int64]
    """(N,) 0 for the target, then 1 for the first control, and so on."""
    source: npt.NDArray[np.int64]
    """(N,) of which source a document is, numbered over all sides: one a document where none are known."""
    tokens: npt.NDArray[np.int64]
    """(N,) counted tokens."""

    @property
    def is_target(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a document is the target's."""
        return np.asarray(self.side == 0)

    @property
    def controls(self) -> range:
        """Numbers of the controls."""
        return range(1, int(self.side.max()) + 1)


class Surface(NamedTuple):
    """What one layer uses of texts with something taken away, as means over the documents of a side."""

    without: npt.NDArray[np.float32]
    """(S, K, F) by side and class of tokens left out."""
    twins: npt.NDArray[np.float32]
    """(W, F) by twin of the target."""


class SurfaceNames(NamedTuple):
    """What the axes of :class:`Surface` are."""

    classes: tuple[str, ...]
    """Names of the K classes."""
    twins: tuple[str, ...]
    """Names of the W twins."""


NOTHING_TAKEN = SurfaceNames((), ())


def pack_layer(
    d_sae: int,
    lengths: Integers,
    indices: Integers,
    means: Floats,
    counts: Integers,
) -> LayerUsage:
    """Put one layer's entries into the stored precision.

    Args:
        d_sae: Number of features.
        lengths: (N,) entries of each document.
        indices: (nnz,) features, ascending within a document.
        means: (nnz,) mean activations, at least 0.
        counts: (nnz,) tokens fired on.
    """
    largest = float(means.max()) if means.size else 0.0
    exponent = int(np.frexp(largest)[1]) - _HALF_MAX_EXPONENT if largest > 0 else 0
    most = int(counts.max()) if counts.size else 0
    return LayerUsage(
        d_sae=d_sae,
        exponent=exponent,
        indptr=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        indices=indices.astype(np.uint16 if d_sae <= 1 << 16 else np.uint32),
        values=np.ldexp(means.astype(np.float64), -exponent).astype(np.float16),
        counts=counts.astype(np.uint16 if most < 1 << 16 else np.uint32),
    )


def write_usage(
    folder: Path,
    documents: Documents,
    layers: Mapping[int, LayerUsage],
    surfaces: Mapping[int, Surface] | None = None,
    names: SurfaceNames = NOTHING_TAKEN,
) -> None:
    """Write the usage of all layers into ``folder``: same usage, same bytes.

    Args:
        folder: Where it goes.
        documents: The documents behind every layer.
        layers: Usage by layer.
        surfaces: What the layers use of texts with something taken away; None where nothing was.
        names: What was taken away.
    """
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[np.generic]] = {
        f"documents.{name}": value.astype(np.int64) for name, value in documents._asdict().items()
    }
    shapes = {}
    for layer, usage in sorted(layers.items()):
        shapes[str(layer)] = {"d_sae": usage.d_sae, "exponent": usage.exponent}
        for part in ("indptr", "indices", "values", "counts"):
            tensors[f"layers.{layer}.{part}"] = getattr(usage, part)
        nothing = np.zeros((0, usage.d_sae), dtype=np.float32)
        surface = surfaces[layer] if surfaces else Surface(nothing[None], nothing)
        for part, means in surface._asdict().items():
            tensors[f"layers.{layer}.{part}"] = means
    header = json.dumps({"version": _VERSION, "layers": shapes, **names._asdict()})
    write_bytes(folder / USAGE_FILE, save(tensors, metadata={_HEADER: header}))


class UsageReader:
    """Reads ``features.safetensors`` a layer at a time.

    Raises:
        ArtifactError: The file is missing, or is not one of ours.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError

        self.path = folder / USAGE_FILE
        try:
            self._file = _open(self.path)
            header = json.loads((self._file.metadata() or {})[_HEADER])
            if header["version"] != _VERSION:
                raise ArtifactError(f"expected version {_VERSION} in {self.path}, got {header['version']}")
            self._shapes = {int(layer): shape for layer, shape in header["layers"].items()}
            self.names = SurfaceNames(*(tuple(header[field]) for field in SurfaceNames._fields))
            self.documents = Documents(
                **{name: self._file.get_tensor(f"documents.{name}") for name in Documents._fields}
            )
        except OSError as error:
            raise ArtifactError(f"cannot read feature usage at {self.path}: {error}") from error
        except (SafetensorError, KeyError, ValueError) as error:
            raise ArtifactError(
                f"{self.path} is not feature usage written by sae-merge diagnose: {error}"
            ) from error

    @property
    def layers(self) -> tuple[int, ...]:
        """The diagnosed layers, ascending."""
        return tuple(sorted(self._shapes))

    def layer(self, layer: int) -> LayerUsage:
        """One layer's usage."""
        return LayerUsage(
            **self._shape(layer), **self._parts(layer, ("indptr", "indices", "values", "counts"))
        )

    def surface(self, layer: int) -> Surface:
        """What one layer uses of texts with something taken away."""
        self._shape(layer)
        return Surface(**self._parts(layer, Surface._fields))

    def _shape(self, layer: int) -> dict[str, Any]:
        if layer not in self._shapes:
            raise ArtifactError(f"{self.path} holds no layer {layer}: it has {list(self.layers)}")
        shape: dict[str, Any] = self._shapes[layer]
        return shape

    def _parts(self, layer: int, names: Sequence[str]) -> dict[str, Any]:
        return {name: self._file.get_tensor(f"layers.{layer}.{name}") for name in names}


def _open(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework="numpy")
