"""Which layers are encoded in which sweep over the documents, so that encoders and batches fit in memory.

And what the whole run is expected to take, from the costs of its steps as they were measured.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.diagnose.costs import Costs
from sae_merge_method.diagnose.document_matrices import BLOCK_FEATURES
from sae_merge_method.layers import LayerModule, Unit
from sae_merge_method.models.devices import format_memory
from sae_merge_method.reports.numbers import duration

_TEMPORARIES = 4
"""Buffers of (tokens x features) in float32 that encoding and counting one batch may hold."""
_ENTRY = 40
"""Bytes that scoring holds for a feature that a document uses."""
_USED = 32
"""Features that a document uses for each of its tokens, at most half of all: what SAEs of 16k features with
some 20 to 100 active at a token come to in documents of 500."""
_MATRICES = 6
"""Matrices of (documents x a block's features) in float64 that scoring may hold."""
ANY_RUN = 72 << 20
"""Bytes that a diagnosis of any size takes, the miniature's too: workspaces, tokens, tables and pictures."""
_SHARE = 0.8
"""Of the free memory: the rest is for what is not counted here."""


class Work(NamedTuple):
    """What the plan is made from."""

    layers: Sequence[Unit]
    """Layers, or parts of layers, that have an SAE."""
    encoder_bytes: int
    """Memory of one encoder."""
    d_model: int
    d_sae: int
    d_mlp: int
    """Width of the model's MLPs: the largest of its activations."""
    batch_tokens: int
    """Tokens that go through the model together."""
    tokens: int
    """Tokens that carry text, of all documents."""
    read_tokens: int
    """Tokens that the model reads, special ones and padding among them."""
    documents: int
    """Documents that are scored, of all sides."""
    cores: int = 1
    """Layers that are scored at a time."""
    held_bytes: int = 0
    """Tables of documents x features that wait to be fetched."""


class Plan(NamedTuple):
    """The sweeps over all documents, and what they are expected to take."""

    groups: tuple[tuple[Unit, ...], ...]
    """Layers, or parts of layers, of each sweep."""
    encoder_bytes: int
    """Encoders of the largest group."""
    batch_bytes: int
    """What reading and encoding one batch holds beside them."""
    scoring_bytes: int
    """What scoring holds, a layer a core, once the encoders are gone."""
    library_bytes: int
    """What was imported to read SAEs."""
    tokens: int
    """Tokens that carry text, of all documents."""
    encoding_seconds: float
    """Estimate up to the scores."""
    scoring_seconds: float
    """Estimate of all scores, with their draws, by every formula."""

    @property
    def bytes(self) -> int:
        """The most memory beside the model."""
        return max(self.encoder_bytes + self.batch_bytes, self.scoring_bytes) + self.library_bytes + ANY_RUN

    @property
    def seconds(self) -> float:
        """Estimate of the whole run, once the model is loaded."""
        return self.encoding_seconds + self.scoring_seconds

    def __str__(self) -> str:
        sweeps = "one sweep" if len(self.groups) == 1 else f"{len(self.groups)} sweeps"
        layers = sum(len(group) for group in self.groups)
        parts = any(isinstance(unit, LayerModule) for group in self.groups for unit in group)
        words = "modules" if parts else "layers"
        libraries = f", libraries {format_memory(self.library_bytes)}" if self.library_bytes else ""
        encoders, batch, scoring = map(
            format_memory, (self.encoder_bytes, self.batch_bytes, self.scoring_bytes)
        )
        return (
            f"{layers} {words} over {self.tokens:,} tokens in {sweeps}: about {format_memory(self.bytes)} "
            f"beside the model (encoders {encoders}, one batch {batch}, or scoring {scoring}{libraries}), "
            f"about {duration(self.seconds)} (encoding {duration(self.encoding_seconds)}, scoring "
            f"{duration(self.scoring_seconds)})"
        )


def make_plan(work: Work, memory: int, costs: Costs) -> Plan:
    """Split the layers into as few, as equal groups as fit.

    At least one encoder must be in memory at a time, whatever ``memory`` says.

    Args:
        work: Sizes.
        memory: Bytes to use beside the model.
        costs: Of the steps.
    """
    activations = 4 * (2 * work.d_mlp + 6 * work.d_model)
    batch = work.batch_tokens * (work.d_sae * 4 * _TEMPORARIES + activations) + work.held_bytes
    room = max(0, int(memory * _SHARE) - batch)
    most = max(1, room // max(1, work.encoder_bytes))
    sweeps = -(-len(work.layers) // most)
    size = -(-len(work.layers) // sweeps)
    groups = tuple(tuple(work.layers[start : start + size]) for start in range(0, len(work.layers), size))
    count = len(work.layers)
    used = min(work.d_sae // 2, _USED * work.tokens // max(1, work.documents))
    scored = _ENTRY * used + 8 * _MATRICES * min(BLOCK_FEATURES, work.d_sae)
    return Plan(
        groups=groups,
        encoder_bytes=size * work.encoder_bytes,
        batch_bytes=batch,
        scoring_bytes=min(count, work.cores) * work.documents * scored,
        library_bytes=costs.libraries,
        tokens=work.tokens,
        encoding_seconds=count * costs.load
        + len(groups) * work.read_tokens * costs.forward
        + count * work.tokens * costs.encode,
        scoring_seconds=-(-count // work.cores) * work.d_sae * costs.score,
    )
