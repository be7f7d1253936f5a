"""Checkpoints tensor by tensor, how far an edited one is from its base, and what a projection kept."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import ModelError
from sae_merge_method.tensor_names import decoder_layer

if TYPE_CHECKING:
    import torch


def stream_tensors(folder: Path) -> "Iterator[tuple[str, torch.Tensor]]":
    """All tensors of a checkpoint, by name in order, one in memory at a time.

    Raises:
        ModelError: The folder holds no safetensors file.
    """
    from safetensors import safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"expected a checkpoint (*.safetensors) in {folder}, found none")
    with ExitStack() as stack:
        readers = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
        owner = {name: reader for reader in readers for name in reader.keys()}  # noqa: SIM118
        for name in sorted(owner):
            yield name, owner[name].get_tensor(name)


def pair_tensors(base: Path, other: Path) -> "Iterator[tuple[str, torch.Tensor, torch.Tensor]]":
    """Name and both tensors, for two checkpoints of the same tensors.

    Raises:
        ModelError: They do not hold the same tensors.
    """
    ends = (("the end", None),)
    here, there = stream_tensors(base), stream_tensors(other)
    while True:
        (name, before), (found, after) = next(here, *ends), next(there, *ends)
        if name != found or (before is not None and after is not None and before.shape != after.shape):
            raise ModelError(f"expected the tensor {name} of {base} in {other} too, found {found}")
        if before is None or after is None:
            return
        yield name, before, after


def injected_energy(base: Path, edited: Path, layers: Collection[int] | None = None) -> float:
    """Sum of squared differences, in float64: the energy of an edit, of all tensors or of some layers'."""
    return sum(
        float((after.double() - before.double()).square().sum())
        for name, before, after in pair_tensors(base, edited)
        if layers is None or decoder_layer(name) in layers
    )


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
