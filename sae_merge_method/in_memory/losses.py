"""How many nats a loaded model needs for the tokens that count, each after those before it.

The numbers are those of an experiment's losses, with a graph to be differentiated. Which tokens count is for
:mod:`~sae_merge_method.in_memory.texts`.
"""

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from sae_merge_method.corpora.batches import Batch

if TYPE_CHECKING:
    import torch

    from sae_merge_method.models.text_model import TextModel


def nats(model: "TextModel", batch: Batch) -> "torch.Tensor":
    """(B,) -log p of every document's counted tokens, float32, with a graph where gradients are on.

    Logits are made for the positions that are asked for alone, and log p is taken in float32.

    Args:
        model: Loaded with its head.
        batch: Padded documents, none of which counts its first token.
    """
    import torch
    from torch.nn.functional import cross_entropy

    assert model.causal is not None, "loaded without its head"
    assert not batch.counted[:, 0].any(), "a first token follows nothing"
    wanted = torch.from_numpy(batch.counted[:, 1:])
    positions = wanted.any(0).nonzero()[:, 0]
    ids = torch.from_numpy(batch.ids)
    inputs: dict[str, Any] = {"input_ids": ids.to(model.device), "use_cache": False}
    if not batch.attention.all():
        inputs["attention_mask"] = torch.from_numpy(batch.attention).to(model.device).long()
    some = "logits_to_keep" in signature(model.causal.forward).parameters
    if some:
        inputs["logits_to_keep"] = positions.to(model.device)
    logits = model.causal(**inputs).logits
    if not some:
        logits = logits[:, positions.to(logits.device)]
    following = ids[:, positions + 1].to(logits.device)
    each = cross_entropy(logits.float().transpose(1, 2), following, reduction="none")
    return (each * wanted[:, positions].to(each.device)).sum(1)


def total_nats(model: "TextModel", batches: Sequence[Batch]) -> dict[int, float]:
    """By document, its nats, summed in one forward pass a batch without a graph."""
    import torch

    found: dict[int, float] = {}
    with torch.no_grad():
        for batch in batches:
            found.update(zip(batch.documents, nats(model, batch).tolist(), strict=True))
    return found
