"""Losses of the texts at one point, by group: all groups in the same batches, and from the edited layer on.

Where one layer alone is injected, the blocks before it put out what they put out for the base, and passes
begin behind them (:mod:`~sae_merge_method.in_memory.stored_states`): those of all layers in turn cost half.
A text whose documents begin alike goes the other way that saves: what they share passes once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sae_merge_method.attribute.texts import Text
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.in_memory.losses import nats, total_nats
from sae_merge_method.in_memory.shared_beginning import shared_tokens
from sae_merge_method.in_memory.stored_states import StoredStates

if TYPE_CHECKING:
    import torch

    from sae_merge_method.models.text_model import TextModel


class GroupLosses:
    """Losses of some texts under the weights that the model has when they are asked for."""

    def __init__(self, model: "TextModel", texts: Sequence[Text], folder: Path, sharers: int = 1) -> None:
        """Nothing is computed yet.

        Args:
            model: With its head.
            texts: All that are asked for.
            folder: On the disk to use where memory does not suffice.
            sharers: Processes that do so, this one among them.
        """
        self._model, self._texts = model, texts
        self._states = StoredStates(model.decoder, model.blocks, folder, sharers)
        apart = [batch for text in texts for batch in text.whole if not shared_tokens(batch)]
        self._batch_of = {_key(batch.ids): batch for batch in apart}

    @contextmanager
    def beginning_at(self, layer: int) -> Iterator[None]:
        """Within, texts that passed before pass from a layer on.

        Args:
            layer: The first that is edited within; none is when this is entered.
        """
        with self._states.beginning_at(layer, self._nats):
            yield

    def of(self, nth: int) -> npt.NDArray[np.float64]:
        """(G,) nats of the groups of a text.

        Args:
            nth: Its number.
        """
        text = self._texts[nth]
        losses = np.zeros(len(text.groups))
        for batch in text.whole:
            for document, loss in self._losses(batch).items():
                losses[text.group[document]] += loss
        return losses

    def _losses(self, batch: Batch) -> dict[int, float]:
        import torch

        if _key(batch.ids) not in self._batch_of:
            return total_nats(self._model, [batch])
        told = self._states.run(self._nats, torch.from_numpy(batch.ids))
        return dict(zip(batch.documents, told.tolist(), strict=True))

    def _nats(self, ids: "torch.Tensor") -> "torch.Tensor":
        """Of a batch; logits of other tokens, on which is tried whether passes may begin at a layer."""
        import torch

        batch = self._batch_of.get(_key(ids.cpu().numpy()))
        with torch.no_grad():
            if batch is None:
                assert self._model.causal is not None, "loaded without its head"
                logits: torch.Tensor = self._model.causal(input_ids=ids, use_cache=False).logits
                return logits
            return nats(self._model, batch)


def _key(ids: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], bytes]:
    return ids.shape, ids.tobytes()
