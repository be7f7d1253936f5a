"""Losses of the texts at one point, by group: all groups in the same batches, and from the edited layer on.

A text whose documents begin alike does not begin later, but goes the other way that saves: what they share
passes once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sae_merge_method.attribute.texts import Text
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.in_memory.losses import total_nats
from sae_merge_method.in_memory.shared_beginning import shared_tokens
from sae_merge_method.in_memory.stored_losses import StoredLosses

if TYPE_CHECKING:
    from sae_merge_method.loaded.text_model import TextModel


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
        apart = [batch for text in texts for batch in text.whole if not shared_tokens(batch)]
        self._stored = StoredLosses(model, apart, folder, sharers)

    @contextmanager
    def beginning_at(self, layer: int) -> Iterator[None]:
        """Within, texts that passed before pass from a layer on.

        Args:
            layer: The first that is edited within; none is when this is entered.
        """
        with self._stored.beginning_at(layer):
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
        if shared_tokens(batch):
            return total_nats(self._model, [batch])
        return dict(zip(batch.documents, self._stored.of(batch).tolist(), strict=True))
