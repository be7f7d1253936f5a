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
from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.tokens import Document
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
        self._states = StoredStates(list(model.blocks), folder, sharers)
        apart = [batch for text in texts for batch in text.whole if not shared_tokens(batch)]
        # A document by itself, on which states are tried for every layer: a batch may be all there is.
        self._alone = _first_of(apart[0]) if apart else None
        known = apart if self._alone is None else [self._alone, *apart]
        self._batch_of = {_key(batch.ids): batch for batch in known}

    @contextmanager
    def beginning_at(self, layer: int) -> Iterator[None]:
        """Within, texts that passed before pass from a layer on.

        Args:
            layer: The first that is edited within; none is when this is entered.
        """
        if layer and self._alone is not None:
            self._losses(self._alone)
            self._alone = None
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
        import torch

        with torch.no_grad():
            return nats(self._model, self._batch_of[_key(ids.cpu().numpy())])


def _first_of(batch: Batch) -> Batch:
    """Its first document by itself."""
    tokens = int(batch.attention[0].sum())
    document = Document(batch.ids[0, :tokens], batch.counted[0, :tokens])
    return next(make_batches([document], tokens))


def _key(ids: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], bytes]:
    return ids.shape, ids.tobytes()
