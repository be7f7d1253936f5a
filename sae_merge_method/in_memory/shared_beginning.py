"""What all texts of a batch begin with passes through the model once: a few-shot prompt, an instruction.

Its keys and values are made of one text and repeated for the others, as generation keeps them, so that a
batch of short problems behind a long prompt costs little more than the problems. Gradients go through them.
The numbers are those of the plain way but for the last bits of a float. Whether they are is tried once a
model, on the first batch: a family that keeps more of a beginning than keys and values goes the plain way.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.errors import ModelError
from sae_merge_method.loaded.passes import short_cut

if TYPE_CHECKING:
    import torch

    Nats = Callable[[int], "torch.Tensor"]
    """From how many first tokens pass once, to what every document of a batch needs."""

logger = logging.getLogger(__name__)

_SHARE = 0.25
"""Least share of a batch's tokens that is saved, or the second pass costs more than that."""
_NEAR = {"float32": 1e-3, "float64": 1e-6}
"""How far nats may lie from the plain way's, relative to them and one more, by what a model computes in;"""
_NEAR_IN_HALF = 5e-2
"""in 16 bits other shapes of the same products round otherwise."""
_REPEAT = "batch_repeat_interleave"
"""What transformers calls it to repeat a cache, or a layer's part of one, for several texts."""
_INSTEAD = "texts that begin alike pass whole"
_can_share: "WeakKeyDictionary[torch.nn.Module, bool]" = WeakKeyDictionary()


def shared_tokens(batch: Batch) -> int:
    """How many first tokens all documents share, without those that a counted one is predicted from.

    0 where it would not be worth a pass of its own.
    """
    n_documents, width = batch.ids.shape
    same = (batch.ids == batch.ids[:1]).all(0) & batch.attention.all(0)
    alike = width if same.all() else int(same.argmin())
    # From the token before it a counted one is predicted; where none is counted, nothing is asked.
    before = min((int(row.argmax()) - 1 for row in batch.counted if row.any()), default=0)
    shared = max(0, min(alike, before))
    return shared if (n_documents - 1) * shared >= _SHARE * batch.ids.size else 0


def near_the_plain(causal: "torch.nn.Module", batch: Batch, nats: "Nats") -> "torch.Tensor":
    """Nats of a batch by its shared beginning, if it has one that is worth it and the model allows it.

    Args:
        causal: The model, which is remembered.
        batch: The documents.
        nats: Measures them.

    Returns:
        (B,) nats.
    """
    shared = shared_tokens(batch)
    if not shared:
        return nats(0)
    if causal not in _can_share:
        dtype = str(next(causal.parameters()).dtype).removeprefix("torch.")
        _can_share[causal] = _is_near(nats, shared, _NEAR.get(dtype, _NEAR_IN_HALF))
    return nats(shared if _can_share[causal] else 0)


def passed_once(causal: "torch.nn.Module", ids: "torch.Tensor", shared: int) -> Any:
    """The cache of transformers with the first tokens of every document, from a pass of one document's.

    Args:
        causal: The model.
        ids: (B, T) of documents that share the first ``shared`` tokens.
        shared: How many.

    Raises:
        ModelError: The model keeps something of a text that cannot be repeated for another.
    """
    cache = causal(input_ids=ids[:1, :shared], use_cache=True, logits_to_keep=1).past_key_values
    kept = {type(layer).__name__ for layer in cache.layers if not hasattr(layer, _REPEAT)}
    if kept:
        raise ModelError(f"what {', '.join(sorted(kept))} keeps of a text cannot be repeated")
    getattr(cache, _REPEAT)(len(ids))
    return cache


def _is_near(nats: "Nats", shared: int, near: float) -> bool:
    import torch

    with torch.no_grad():
        plain = nats(0)
        told = short_cut(partial(nats, shared), _INSTEAD)
    if told is None:
        return False
    is_near = bool(((told - plain).abs() <= near * (1 + plain.abs())).all())
    if not is_near:
        logger.info("%s: by their beginning passed once they need other nats", _INSTEAD)
    return is_near
