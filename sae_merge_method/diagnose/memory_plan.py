"""Which layers are encoded in which sweep over the documents, so that encoders and batches fit in memory."""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.models.devices import format_memory
from sae_merge_method.reports.numbers import duration

_TEMPORARIES = 4
"""Buffers of (tokens x features) in float32 that encoding and counting one batch may hold."""
_SHARE = 0.8
"""Of the free memory: the rest is for what is not counted here."""


class Work(NamedTuple):
    """What the plan is made from."""

    layers: Sequence[int]
    encoder_bytes: int
    """Memory of one encoder."""
    d_model: int
    d_sae: int
    batch_tokens: int
    """Tokens that go through the model together."""
    tokens: int
    """Counted tokens of all documents."""
    model_parameters: int
    """Of the decoder's blocks."""


class Plan(NamedTuple):
    """The sweeps over all documents, and what they are expected to take."""

    groups: tuple[tuple[int, ...], ...]
    """Layers of each sweep."""
    encoder_bytes: int
    """Encoders of the largest group."""
    batch_bytes: int
    """What encoding one batch holds beside them."""
    tokens: int
    """Counted tokens of all documents."""
    seconds: float
    """Estimate from the speed of a matrix product on this machine."""

    def __str__(self) -> str:
        sweeps = "one sweep" if len(self.groups) == 1 else f"{len(self.groups)} sweeps"
        layers = sum(len(group) for group in self.groups)
        return (
            f"{layers} layers over {self.tokens:,} tokens in {sweeps}: about "
            f"{format_memory(self.encoder_bytes + self.batch_bytes)} beside the model "
            f"(encoders {format_memory(self.encoder_bytes)}, one batch {format_memory(self.batch_bytes)}), "
            f"about {duration(self.seconds)}"
        )


def make_plan(work: Work, memory: int, speed: float) -> Plan:
    """Split the layers into as few, as equal groups as fit.

    At least one encoder must be in memory at a time, whatever ``memory`` says.

    Args:
        work: Sizes.
        memory: Bytes to use beside the model.
        speed: Floating-point operations a second.
    """
    batch = work.batch_tokens * work.d_sae * 4 * _TEMPORARIES + work.batch_tokens * work.d_model * 16
    room = max(0, int(memory * _SHARE) - batch)
    most = max(1, room // max(1, work.encoder_bytes))
    sweeps = -(-len(work.layers) // most)
    size = -(-len(work.layers) // sweeps)
    groups = tuple(tuple(work.layers[start : start + size]) for start in range(0, len(work.layers), size))
    forward = 2 * work.model_parameters * len(groups)
    encode = 2 * work.d_model * work.d_sae * len(work.layers)
    return Plan(
        groups=groups,
        encoder_bytes=size * work.encoder_bytes,
        batch_bytes=batch,
        tokens=work.tokens,
        seconds=work.tokens * (forward + encode) / speed,
    )
