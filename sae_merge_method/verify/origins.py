"""Which models a checkpoint was held against, by path, revision and hash; whether they can tell anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sae_merge_method.artifacts.edit_report import tensors_sha256
from sae_merge_method.layers import named_units
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, Checkpoint
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.tensor_names import layer_part
from sae_merge_method.verify.expected import Expected
from sae_merge_method.verify.report import HeldAgainst, Role
from sae_merge_method.verify.sources import Sources
from sae_merge_method.verify.sweep import Seen


def held_against(
    sources: Sources, expected: Mapping[str, Expected], seen: Mapping[str, Seen]
) -> list[HeldAgainst]:
    """The base, then the donors in the plan's order, each with the hash of the tensors that were read.

    Args:
        sources: What the checkpoint is held against.
        expected: What was known of its tensors.
        seen: What a sweep found by that.
    """
    models = []
    if sources.base is not None:
        read = [(must_be.base, seen[name].base_xxh3) for name, must_be in expected.items()]
        folder = sources.base.folder / JOURNAL_FOLDER if sources.in_place else sources.base.folder
        models.append(_held("base", sources.recipe.base_model, sources.base, folder, read))
    for donor, checkpoint in sources.donors.items():
        read = [
            (entry, digest)
            for name, must_be in expected.items()
            for giver, entry, digest in zip(
                _givers(sources, name), must_be.donors, seen[name].donors_xxh3, strict=True
            )
            if giver == donor
        ]
        models.append(_held("donor", donor, checkpoint, checkpoint.folder, read))
    return models


def _givers(sources: Sources, name: str) -> list[str]:
    """The donors of a tensor, in the order in which they are added."""
    part = layer_part(name)
    if sources.plan is None or part is None:
        return []
    return [one.model for one in sources.plan.donations_to(part)]


_Read = tuple[TensorEntry, str | None]
"""A tensor of a model, and the XXH3-128 of its bytes where it was read."""


def _held(role: Role, model: str, checkpoint: Checkpoint, folder: Path, read: Sequence[_Read]) -> HeldAgainst:
    snapshot = checkpoint.folder.absolute()
    return HeldAgainst(
        role=role,
        model=model,
        folder=folder,
        revision=snapshot.name if snapshot.parent.name == "snapshots" else None,
        config_sha256=checkpoint.config_sha256,
        tensors=len(read),
        tensors_sha256=tensors_sha256(
            (entry.name, entry.dtype, entry.shape, digest) for entry, digest in read if digest is not None
        ),
    )


def nothing_moves(sources: Sources, expected: Mapping[str, Expected], seen: Mapping[str, Seen]) -> str | None:
    """Why the models can tell nothing of the edit, in words: all of them hold the checkpoint's own bytes.

    None where a donor differs from the base somewhere, or the recipe asks for weights of zero.
    """
    edited = {name: must_be for name, must_be in expected.items() if any(must_be.alphas)}
    moved = any(
        {seen[name].base_xxh3, *seen[name].donors_xxh3} != {seen[name].hashes.xxh3} for name in edited
    )
    if moved or not edited:
        return None
    return (
        f"base, donors and checkpoint hold the same bytes in {named_units(sources.layers)}, and "
        "base + weight * (donor - base) is the base whatever the weight"
    )
