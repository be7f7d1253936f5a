"""The parts of a decoder layer that a gate can open alone: its attention and its MLP.

A layer's tensors fall into three kinds: those inside the module that is its attention, those inside
the one that is its MLP, and the rest, such as the norms between them, which belong to neither. What a
family calls these modules stands in its row of ``families``; as everywhere there, all rows are read together.
"""

from typing import NamedTuple

from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.tensor_names import layer_part


class Part(NamedTuple):
    """A part of every layer: one row of the registry."""

    name: str
    """As recipes write it behind a layer's number."""
    title: str
    """In words, for tables and messages."""
    description: str
    """What belongs to it, for help texts."""


PARTS: dict[str, Part] = {
    row.name: row
    for row in (
        Part(
            "attn",
            "attention",
            "attention of whatever kind, linear attention too, with the norms inside it",
        ),
        Part("mlp", "MLP", "the MLP, or the experts with their router and what they share"),
    )
}
"""All parts by name. A norm that stands between them belongs to the whole layer alone."""


def part_of(name: str) -> str | None:
    """The part that a tensor belongs to, None for the rest of its layer.

    Args:
        name: The tensor's name within its layer, such as ``self_attn.q_norm.weight``.
    """
    return vocabulary().modules.get(name.partition(".")[0])


def tensor_part(tensor_name: str) -> str | None:
    """The same by a checkpoint's full name, in any layout; None outside the decoder's layers too."""
    within = layer_part(tensor_name)
    return None if within is None else part_of(within.part)


def describe_parts() -> str:
    """All parts in a clause, for help texts."""
    return "; ".join(f"{part.name} is {part.description}" for part in PARTS.values())
