"""Nats of batches that pass again and again, from the first layer on in which something is changed.

Passes begin behind the layers that put out what they put out for the unchanged model
(:mod:`~sae_merge_method.in_memory.stored_states`): where each layer is changed in turn, all cost half.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.in_memory.stored_states import StoredStates

if TYPE_CHECKING:
    import torch

    from sae_merge_method.loaded.text_model import TextModel


class StoredLosses:
    """Nats under the weights and hooks that a model has when they are asked for."""

    def __init__(self, model: "TextModel", batches: Iterable[Batch], folder: Path, sharers: int = 1) -> None:
        """Nothing is computed yet.

        Args:
            model: With its head.
            batches: All that are asked for.
            folder: On the disk to use where memory does not suffice.
            sharers: Processes that do so, this one among them.
        """
        self._model = model
        self._states = StoredStates(model.decoder, model.blocks, folder, sharers)
        self._batch_of = {_key(batch.ids): batch for batch in batches}

    @contextmanager
    def beginning_at(self, layer: int) -> Iterator[None]:
        """Within, batches that passed before pass from a layer on.

        Args:
            layer: The first in which something is changed within; nothing is when this is entered.
        """
        with self._states.beginning_at(layer, self._forward):
            yield

    def of(self, batch: Batch) -> "torch.Tensor":
        """(B,) nats of a batch's documents, without a graph."""
        import torch

        with torch.no_grad():
            return self._states.run(lambda _: nats(self._model, batch), torch.from_numpy(batch.ids))

    def _forward(self, ids: "torch.Tensor") -> "torch.Tensor":
        """Of a batch; logits of other tokens, on which is tried whether passes may begin at a layer."""
        import torch

        batch = self._batch_of.get(_key(ids.cpu().numpy()))
        with torch.no_grad():
            if batch is not None:
                return nats(self._model, batch)
            assert self._model.causal is not None, "loaded without its head"
            logits: torch.Tensor = self._model.causal(input_ids=ids, use_cache=False).logits
            return logits


def _key(ids: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], bytes]:
    return ids.shape, ids.tobytes()
