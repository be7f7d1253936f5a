"""Every number of the miniature, in one place. Budgets are in tokens, never in seconds.

What the base lacks is care, not knowledge: drills have taught it arithmetic, but most solutions it
has read slip at the last step, so it slips too. The donor has gone on with right solutions only, and
the edit draws out what is there. Where the base could hardly calculate, three of a donor's eight
layers gave gains that came and went with the layers and the seed.

All of it is ours: the paper (arXiv 2605.28649) works on Gemma-3-4B-IT and has no miniature.
"""

from dataclasses import asdict, dataclass

GENERATION = 2
"""Raised whenever the code that makes texts, models or SAEs would make others from the same numbers."""


@dataclass(frozen=True)
class Settings:
    """What the models, SAEs and problems depend on. Two equal settings share one cache entry."""

    seed: int = 0
    problems_per_subject: int = 120
    vocabulary: int = 1024
    tokenizer_documents: int = 8000
    diagnosis_documents: int = 300
    """Of the target, of the control, and of the general text the models are tried on."""

    n_layers: int = 8
    d_model: int = 64
    d_mlp: int = 256
    n_heads: int = 4
    n_kv_heads: int = 2
    d_head: int = 16
    context: int = 512

    documents_per_step: int = 32
    warm_up: float = 0.05
    """Share of the steps over which the learning rate rises."""
    base_tokens: int = 900_000
    base_learning_rate: float = 7e-3
    maths_share: float = 0.45
    """Of the base's tokens."""
    drill_share: float = 0.2
    base_slips: float = 0.8
    """Chance that a solution the base reads ends in a slip."""
    donor_tokens: int = 150_000
    donor_learning_rate: float = 1.5e-3

    sae_tokens: int = 160_000
    sae_width: int = 256
    sae_k: int = 8
    sae_batch: int = 512
    sae_learning_rate: float = 2e-3

    def as_dict(self) -> dict[str, int | float]:
        """For hashing and for the report."""
        return asdict(self)
