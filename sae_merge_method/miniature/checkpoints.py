"""Checkpoints tensor by tensor, and how far an edited one is from its base."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.errors import ModelError

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


def injected_energy(base: Path, edited: Path) -> float:
    """Sum of squared differences over all tensors, in float64: the energy of an edit."""
    return sum(
        float((after.double() - before.double()).square().sum())
        for _, before, after in pair_tensors(base, edited)
    )
