"""Every number of the miniature, in one place. Budgets are in tokens, never in seconds.

What the base lacks is care, not knowledge: drills have taught it arithmetic, but most solutions it
has read slip at the last step, so it slips too. The donor has gone on with right solutions only, and
the edit draws out what is there. Where the base could hardly calculate, three of a donor's eight
layers gave gains that came and went with the layers and the seed.

All of it is ours: the paper (arXiv 2605.28649) works on Gemma-3-4B-IT and has no miniature.
"""

from pydantic import Field

from sae_merge_method.artifacts.schema import Record

GENERATION = 6
"""Raised whenever the code that makes texts, models or SAEs would make others from the same numbers."""


class MiniatureSettings(Record):
    """What the models, SAEs and problems depend on. Two equal settings share one cache entry."""

    seed: int = Field(default=0, ge=0)
    """Seed of texts, models and SAEs."""
    problems_per_subject: int = Field(default=120, ge=2, le=300)
    """Held-out problems a subject."""
    vocabulary: int = 1024
    """Tokens that the tokenizer knows."""
    tokenizer_documents: int = 8000
    """Maths documents and stories that the tokenizer is trained on, together."""
    diagnosis_documents: int = 300
    """Documents of the target, of the control, and of the general text that damage is measured on."""

    n_layers: int = 8
    """Decoder layers."""
    d_model: int = 64
    """Width of the residual stream."""
    d_mlp: int = 256
    """Width within an MLP."""
    n_heads: int = 4
    """Attention heads a layer."""
    n_kv_heads: int = 2
    """Key and value heads a layer."""
    d_head: int = 16
    """Width of a head."""
    context: int = 512
    """Longest text in tokens."""

    documents_per_step: int = 32
    """Documents of a training step."""
    warm_up: float = 0.05
    """Share of the steps over which the learning rate rises."""
    base_tokens: int = 900_000
    """Tokens that the base is trained on."""
    base_learning_rate: float = 7e-3
    """Highest learning rate of the base."""
    maths_share: float = 0.45
    """Maths documents' share of the base's tokens."""
    drill_share: float = 0.2
    """Drills' share of the base's tokens; the rest are stories."""
    base_slips: float = 0.8
    """Chance that a solution the base reads ends in a slip."""
    donor_tokens: int = 150_000
    """Tokens that the donor is trained on further."""
    donor_learning_rate: float = 1.5e-3
    """Highest learning rate of the donor."""

    sae_tokens: int = 160_000
    """Tokens that each SAE is trained on."""
    sae_width: int = 256
    """Features of an SAE."""
    sae_k: int = 8
    """Features that are active at a token, on average."""
    sae_batch: int = 512
    """Tokens of a training step of an SAE."""
    sae_learning_rate: float = 2e-3
    """Highest learning rate of an SAE."""
