"""``diagnosis/features.safetensors``: how much each document used each feature, layer by layer.

Enough to score, select and project again without the model. One layer is a compressed sparse
row matrix, documents x features; a document's entry is the feature's mean activation over the
document's counted tokens and the number of tokens it fired on. A layer's outlier tokens, which do not count,
are a matrix of their own: both together are what a layer would use if they did.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.diagnosis import USAGE_FILE
from sae_merge_method.artifacts.layer_usage import PARTS, LayerUsage
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.layers import Unit, by_depth, format_layers, parse_units

_VERSION = 3
# safetensors writes metadata in hash order: one key keeps the bytes the same.
_HEADER = "sae_merge_usage"
_OUTLIERS = "outliers."


class Documents(NamedTuple):
    """The documents behind every layer: target's first, then each control's, in file order."""

    side: npt.NDArray[np.int64]
    """(N,) 0 for the target, then 1 for the first control, and so on."""
    source: npt.NDArray[np.int64]
    """(N,) of which source a document is, numbered over all sides: one a document where none are known."""

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


def write_usage(
    folder: Path,
    documents: Documents,
    layers: Mapping[Unit, LayerUsage],
    surfaces: Mapping[Unit, Surface] | None = None,
    names: SurfaceNames = NOTHING_TAKEN,
    outliers: Mapping[Unit, LayerUsage] | None = None,
) -> None:
    """Write the usage of all layers into ``folder``: same usage, same bytes.

    Args:
        folder: Where it goes.
        documents: The documents behind every layer.
        layers: Usage by layer, or part of one.
        surfaces: What the layers use of texts with something taken away; None where nothing was.
        names: What was taken away.
        outliers: Usage on the tokens that do not count, by layer; None where there are none.
    """
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[np.generic]] = {
        f"documents.{name}": value.astype(np.int64) for name, value in documents._asdict().items()
    }
    shapes = {}
    for layer, usage in sorted(layers.items(), key=lambda entry: by_depth(entry[0])):
        without = outliers[layer] if outliers else usage.none()
        shapes[str(layer)] = {
            "d_sae": usage.d_sae, "exponent": usage.exponent, _OUTLIERS + "exponent": without.exponent,
        }  # fmt: skip
        for part in PARTS:
            tensors[f"layers.{layer}.{part}"] = getattr(usage, part)
            tensors[f"layers.{layer}.{_OUTLIERS}{part}"] = getattr(without, part)
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
            self._shapes = {
                unit: shape for name, shape in header["layers"].items() for unit in parse_units(name)
            }
            self.names = SurfaceNames(*(tuple(header[field]) for field in SurfaceNames._fields))
            self.documents = Documents(
                **{name: self._file.get_tensor(f"documents.{name}") for name in Documents._fields}
            )
        except OSError as error:
            raise ArtifactError(f"cannot read feature usage at {self.path}: {error}") from error
        except (SafetensorError, KeyError, ValueError, UsageError) as error:
            raise ArtifactError(
                f"{self.path} is not feature usage written by sae-merge diagnose: {error}"
            ) from error

    @property
    def layers(self) -> tuple[Unit, ...]:
        """The diagnosed layers, or parts of layers, ascending."""
        return tuple(sorted(self._shapes, key=by_depth))

    def layer(self, layer: Unit) -> LayerUsage:
        """Usage of one of them."""
        return self._usage(layer, "")

    def outliers(self, layer: Unit) -> LayerUsage:
        """What one layer uses on the tokens that do not count there."""
        return self._usage(layer, _OUTLIERS)

    def surface(self, layer: Unit) -> Surface:
        """What one layer uses of texts with something taken away."""
        self._shape(layer)
        return Surface(*(self._tensor(layer, name) for name in Surface._fields))

    def _usage(self, layer: Unit, prefix: str) -> LayerUsage:
        shape = self._shape(layer)
        arrays = {part: self._tensor(layer, prefix + part) for part in PARTS}
        return LayerUsage(d_sae=shape["d_sae"], exponent=shape[prefix + "exponent"], **arrays)

    def _shape(self, layer: Unit) -> dict[str, Any]:
        if layer not in self._shapes:
            raise ArtifactError(f"{self.path} holds no layer {layer}: it has {format_layers(self.layers)}")
        shape: dict[str, Any] = self._shapes[layer]
        return shape

    def _tensor(self, layer: Unit, name: str) -> Any:
        return self._file.get_tensor(f"layers.{layer}.{name}")


def _open(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(path, framework="numpy")
