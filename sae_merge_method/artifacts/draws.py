"""``diagnosis/draws.safetensors``: every layer's score under shuffled labels and over resampled documents.

Where parts of layers were diagnosed, theirs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.layers import LayerModule, Unit, layer_of, part_of_layer
from sae_merge_method.models.parts import PARTS

DRAWS_FILE = "draws.safetensors"


class ScoreDraws(NamedTuple):
    """Scores of L layers against C controls, in the order of ``layers`` and of the diagnosis' controls."""

    layers: npt.NDArray[np.int64]
    """(L,)"""
    parts: npt.NDArray[np.int64]
    """(L,) which part of its layer each is: 0 for the whole, then as ``PARTS`` has them."""
    null: npt.NDArray[np.float64]
    """(C, P, L) against each control, under shuffled labels."""
    bootstrap: npt.NDArray[np.float64]
    """(C, R, L) against each control, over resampled sources."""

    @property
    def units(self) -> tuple[Unit, ...]:
        """The layers, or parts of layers, in their order."""
        names = (None, *PARTS)
        return tuple(
            layer if not part else LayerModule(layer, str(names[part]))
            for layer, part in zip(self.layers.tolist(), self.parts.tolist(), strict=True)
        )


def numbered(units: Sequence[Unit]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The layers of units, and their parts, as draws hold them."""
    names = (None, *PARTS)
    layers = np.array([layer_of(unit) for unit in units], dtype=np.int64)
    return layers, np.array([names.index(part_of_layer(unit)) for unit in units], dtype=np.int64)


def write_draws(folder: Path, draws: ScoreDraws) -> None:
    """Write the draws into ``folder``: same draws, same bytes."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in draws._asdict().items()}
    write_bytes(folder / DRAWS_FILE, save(tensors))


def read_draws(folder: Path) -> ScoreDraws:
    """Read the draws of a diagnosis.

    Raises:
        ArtifactError: Missing, or not written by this package.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / DRAWS_FILE
    try:
        return ScoreDraws(**load_file(path))
    except OSError as error:
        raise ArtifactError(f"cannot read score draws at {path}: {error}") from error
    except (SafetensorError, TypeError) as error:
        raise ArtifactError(f"{path} holds no score draws of a diagnosis: {error}") from error
