"""A batch's documents encoded and summed on a device that runs beside its host, such as a GPU.

A device that is asked what it has found stands still until all that was asked before is done. So nothing
here asks: whatever's size depends on the numbers stays a table of (documents x features) on the device,
outliers are told apart by weights, and the tables of many places are fetched together
(:mod:`~sae_merge_method.diagnose.fetching`).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sae_merge_method.diagnose.fit import distances_of
from sae_merge_method.diagnose.token_layout import TokenLayout
from sae_merge_method.diagnose.usage import Reading, told_apart
from sae_merge_method.models.devices import sent
from sae_merge_method.saes.encoders import encode

if TYPE_CHECKING:
    import torch


class LayoutThere(NamedTuple):
    """Which tokens of a batch are whose, on a device."""

    layout: TokenLayout
    whose: "torch.Tensor"
    """(B, T) float32, 1 where a token is the document's."""
    document: "torch.Tensor"
    """(T,) whose each is."""
    places: "torch.Tensor"
    """(T,) the place of each in its document."""
    of_side: "torch.Tensor"
    """(S, B) float32, 1 where a document is of the side."""
    outside: "torch.Tensor"
    """(K, T) float32, 1 where a token is not of the class."""
    sampled: "torch.Tensor"
    """(n,) places of tokens to reconstruct."""

    @classmethod
    def on(cls, device: "torch.device", layout: TokenLayout) -> "LayoutThere":
        """Send it there."""
        documents, sides = (np.arange(n)[:, None] for n in (len(layout.tokens), layout.n_sides))
        arrays = (
            (documents == layout.document).astype(np.float32),
            layout.document,
            layout.places,
            (sides == layout.sides).astype(np.float32),
            layout.outside.astype(np.float32),
            np.flatnonzero(layout.sampled),
        )
        return cls(layout, *(sent(one, device) for one in arrays))


class Table(NamedTuple):
    """What documents use of one dictionary's features: what counts in the first B rows, then outliers.

    Of dictionaries beside an SAE there are neither outliers, nor peaks, nor classes.
    """

    sums: "torch.Tensor"
    """(B or 2 B, F) float32."""
    fired: "torch.Tensor"
    """(B or 2 B, F) float32, on how many tokens."""
    peaks: "torch.Tensor"
    """(B or 0, F) int32, where in a document of the target the token stands that uses it most."""
    without: "torch.Tensor"
    """(S, K or 0, F) float32, means outside each class, summed over a side's documents."""


class Held(NamedTuple):
    """What one batch comes to at one place, still on the device."""

    reading: Reading
    layout: TokenLayout
    outlier: "torch.Tensor"
    """(T,)"""
    finite: "torch.Tensor"
    """(T,)"""
    distances: "torch.Tensor"
    """(2, n) float64; see :func:`~sae_merge_method.diagnose.fit.distances_of`."""
    tables: tuple[Table, ...]
    """Of the SAE, then of each dictionary beside it."""

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        return sum(part.nbytes for table in self.tables for part in table)


def hold(reading: Reading, activations: "torch.Tensor", there: LayoutThere) -> Held:
    """Encode and sum up, without waiting.

    Args:
        reading: The SAE and the rule.
        activations: (T, d_model) on the device, document by document.
        there: Which tokens are whose.
    """
    import torch

    encoder, rule = reading.encoder, reading.rule
    with torch.inference_mode():
        outlier, finite = told_apart(activations, rule)
        counted = ~outlier if rule.leaves_out else torch.ones_like(outlier)
        features = encode(encoder, activations)
        tables = [_table(features, counted, there, of_sae=True)]
        distances = distances_of(encoder, activations[there.sampled], features[there.sampled], rule.mean)
        if reading.beside:
            active, none = torch.count_nonzero(features, 1), features.new_zeros(1, features.shape[1])
            centre = reading.centre(none)
            del features  # as large as those of another dictionary
            for other in reading.beside:
                beside = other.encode_beside(activations, centre, active)
                tables.append(_table(beside, counted, there, of_sae=False))
        return Held(reading, there.layout, outlier, finite, distances, tuple(tables))


def _table(features: "torch.Tensor", counted: "torch.Tensor", there: LayoutThere, *, of_sae: bool) -> Table:
    """Sums as products with the matrix of which token is whose: a hundred small ones cost more.

    Args:
        features: (T, F)
        counted: (T,) which tokens count.
        there: Which are whose.
        of_sae: Whether to tell all.
    """
    import torch

    weight = counted.float()
    own = there.whose * weight
    documents = torch.cat([own, there.whose - own]) if of_sae else own
    # A token's share in the mean of its document's tokens outside a class.
    outside = (there.outside if of_sae else there.outside[:0]) * weight
    share = outside / (own @ outside.T).T[:, there.document].clamp_min(1)
    of_sides = there.of_side[:, None, there.document] * share
    wide = features.float()
    sums = torch.cat([documents, of_sides.flatten(0, 1)]) @ wide
    n_documents = len(documents)
    return Table(
        sums[:n_documents],
        # Whole numbers this small are exact in float32.
        documents @ (features != 0).float(),
        _peaks(wide, counted, there)
        if of_sae
        else there.places.new_zeros(0, wide.shape[1], dtype=torch.int32),
        sums[n_documents:].reshape(*of_sides.shape[:2], wide.shape[1]),
    )


def _peaks(wide: "torch.Tensor", counted: "torch.Tensor", there: LayoutThere) -> "torch.Tensor":
    """(B, F) int32; see :class:`Table`. The first of equal ones, and anything outside the target."""
    import torch

    layout = there.layout
    peaks = there.places.new_zeros(len(layout.tokens), wide.shape[1], dtype=torch.int32)
    ends = np.cumsum(layout.tokens)
    for at in np.flatnonzero((layout.sides == 0) & (layout.tokens > 0)):
        own = slice(int(ends[at] - layout.tokens[at]), int(ends[at]))
        among = wide[own].masked_fill(~counted[own, None], -1)
        peaks[int(at)] = there.places[own][among.argmax(0)]
    return peaks
