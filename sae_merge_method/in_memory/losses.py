"""How many nats a loaded model needs for the tokens that count, each after those before it.

The numbers are those of an experiment's losses, with a graph to be differentiated. Which tokens count is for
:mod:`~sae_merge_method.in_memory.texts`.
"""

from collections.abc import Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.in_memory.shared_beginning import near_the_plain, passed_once

if TYPE_CHECKING:
    import torch

_CACHED = 2**20
"""Numbers in float32 of which two or three copies stay in a processor's cache."""


class WithHead(Protocol):
    """What losses are told of, such as :class:`~sae_merge_method.loaded.text_model.TextModel`."""

    @property
    def causal(self) -> "torch.nn.Module | None":
        """The whole model, which gives logits."""

    @property
    def device(self) -> "torch.device":
        """Where token ids are wanted."""


def nats(model: WithHead, batch: Batch, *, share: bool = False) -> "torch.Tensor":
    """(B,) -log p of every document's counted tokens, float32, with a graph where gradients are on.

    Logits are made for the positions that are asked for alone, and log p is taken in float32.

    Args:
        model: Loaded with its head.
        batch: Padded documents, none of which counts its first token.
        share: Let what all documents begin with pass once, where that is worth it. Not within anything that
            looks at, changes or repeats what single blocks do.
    """
    assert model.causal is not None, "loaded without its head"
    assert not batch.counted[:, 0].any(), "a first token follows nothing"
    if share and _keeps_some(model.causal):
        return near_the_plain(model.causal, batch, partial(_nats, model, batch))
    return _nats(model, batch, 0)


def total_nats(model: WithHead, batches: Sequence[Batch]) -> dict[int, float]:
    """By document, its nats, summed in one forward pass a batch without a graph."""
    import torch

    by_document: dict[int, float] = {}
    with torch.no_grad():
        for batch in batches:
            by_document.update(zip(batch.documents, nats(model, batch, share=True).tolist(), strict=True))
    return by_document


def _nats(model: WithHead, batch: Batch, shared: int) -> "torch.Tensor":
    """Nats of a batch, of which the first ``shared`` tokens pass once."""
    import torch

    causal: Any = model.causal
    wanted = torch.from_numpy(batch.counted[:, 1:])
    positions = wanted.any(0).nonzero()[:, 0]
    ids = torch.from_numpy(batch.ids).to(model.device)
    inputs: dict[str, Any] = {"use_cache": False}
    if shared:
        inputs = {"use_cache": True, "past_key_values": passed_once(causal, ids, shared)}
    if not batch.attention.all():
        inputs["attention_mask"] = torch.from_numpy(batch.attention).to(model.device).long()
    some = _keeps_some(causal)
    if some:
        # Plain numbers, which lie on no device: a model that is spread over several has its inputs on the
        # first, and its last states on the last.
        inputs["logits_to_keep"] = (positions - shared).tolist()
    logits = causal(input_ids=ids[:, shared:], **inputs).logits
    if not some:
        logits = logits[:, positions.to(logits.device)]
    following = ids[:, positions.to(ids.device) + 1].to(logits.device)
    # A document at a time, whose logits lie one behind another: over documents and positions at once torch
    # goes through the vocabulary with strides, several times as slow on a processor and on a GPU.
    each = torch.stack([token_nats(*one) for one in zip(logits, following, strict=True)])
    return (each * wanted[:, positions].to(each.device)).sum(1)


def token_nats(logits: "torch.Tensor", following: "torch.Tensor") -> "torch.Tensor":
    """(T,) -log p of every token, in float32, whatever the logits are in.

    Args:
        logits: (T, vocabulary) of one document.
        following: (T,) ids of the tokens that they foretell.
    """
    from torch import cat, split
    from torch.nn.functional import cross_entropy

    # A processor goes through a few rows in its cache several times as fast as through a document's.
    rows = max(1, _CACHED // logits.shape[-1]) if logits.device.type == "cpu" else max(1, len(logits))
    return cat(
        [
            cross_entropy(some.float(), next_ones, reduction="none")
            for some, next_ones in zip(split(logits, rows), split(following, rows), strict=True)
        ]
    )


def _keeps_some(causal: "torch.nn.Module") -> bool:
    """Whether a model makes logits of chosen positions alone."""
    return "logits_to_keep" in signature(causal.forward).parameters
