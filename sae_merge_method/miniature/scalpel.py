"""The projected arm's checkpoint: base plus what of the task vector lies on a few SAE features.

Not done again where it stands; the projection itself is in :mod:`.projection`.
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files import canonical_json, new_folder, write_text
from sae_merge_method.miniature.checkpoints import pair_tensors
from sae_merge_method.tensor_names import decoder_layer

if TYPE_CHECKING:
    import torch

FEATURES = 2
"""Features of a layer that span the projection: those that add most to its score."""

_KEPT_FILE = "kept.json"


@dataclass(frozen=True)
class Kept:
    """How much of a task vector a projection keeps, in the layers it was applied to."""

    energy: float
    """Sum of squares of the projected task vector."""
    of: float
    """Sum of squares of the whole task vector of these layers."""
    chance: float
    """r/d: what a random subspace of the same rank keeps of a residual axis, on average."""

    @property
    def share(self) -> float:
        """Energy kept, from 0 to 1."""
        return self.energy / self.of if self.of else 0.0


def write_projected(folder: Path, diagnosis: Diagnosis, layers: tuple[int, ...], out: Path) -> Kept:
    """Write the base plus the projected task vector of ``layers``.

    Args:
        folder: Holds ``base``, ``donor`` and ``saes``.
        diagnosis: Names every layer's most specific features.
        layers: Where to edit; other layers stay the base's.
        out: Checkpoint folder to write, whole or not at all.
    """
    import json

    from safetensors.torch import save_file

    from sae_merge_method.miniature.projection import energy, project

    if out.exists():
        return Kept(**json.loads((out / _KEPT_FILE).read_text(encoding="utf-8")))
    bases = {layer: _feature_basis(folder / "saes", diagnosis, layer) for layer in layers}
    tensors: dict[str, torch.Tensor] = {}
    energy_kept = energy_of = 0.0
    for name, before, after in pair_tensors(folder / "base", folder / "donor"):
        layer = decoder_layer(name)
        tensors[name] = before
        if layer in bases:
            tau = after.float() - before.float()
            part = project(tau, name, bases[layer])
            tensors[name] = (before.float() + part).to(before.dtype).contiguous()
            energy_kept += energy(part)
            energy_of += energy(tau)
    ranks = [basis.shape[1] for basis in bases.values()]
    kept = Kept(energy_kept, energy_of, chance=sum(ranks) / len(ranks) / diagnosis.model.d_model)
    with new_folder(out) as partial:
        save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
        for file in sorted((folder / "base").glob("*.json")):
            shutil.copyfile(file, partial / file.name)
        write_text(partial / _KEPT_FILE, canonical_json(asdict(kept)))
    return kept


def _feature_basis(saes: Path, diagnosis: Diagnosis, layer: int) -> "torch.Tensor":
    """Orthonormal basis (d x r) of the decoder directions of a layer's most specific features."""
    from safetensors import safe_open

    from sae_merge_method.miniature.projection import orthonormal_basis

    heard = next(entry for entry in diagnosis.layers if entry.layer == layer)
    features = [top.feature for top in heard.top_features[:FEATURES]]
    if not features:
        raise ArtifactError(f"expected top features of layer {layer} in the diagnosis, found none")
    with safe_open(saes / f"layer_{layer}" / "sae_weights.safetensors", framework="pt") as weights:
        return orthonormal_basis(weights.get_tensor("W_dec")[features])
