"""What a device holds of a batch, fetched for many places at once and put in the form that is kept."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.fit import Fit
from sae_merge_method.diagnose.on_device import Held, Table
from sae_merge_method.diagnose.token_layout import Rows, TokenLayout, Without
from sae_merge_method.diagnose.usage import PartialUsage, refuse_no_features, refuse_no_numbers
from sae_merge_method.models.devices import sent

Integers = npt.NDArray[np.int64]


def fetch(held: Sequence[Held]) -> Iterator[tuple[PartialUsage, ...]]:
    """What was held at some places of one batch, in order: of the SAE, then of each dictionary beside it.

    Raises:
        ModelError: An activation is NaN or infinite.
        SaeError: A feature is, or what is decoded of some.
    """
    import torch

    masks = torch.stack([torch.stack([one.outlier, one.finite]) for one in held]).cpu().numpy()
    distances = torch.stack([one.distances for one in held]).cpu().numpy()
    tables = _found([table for one in held for table in one.tables])
    for one, (outlier, finite), of_sampled in zip(held, masks, distances, strict=True):
        refuse_no_numbers(finite, one.reading.where)
        counts = ~outlier | (not one.reading.rule.leaves_out)
        layout, apart = one.layout.only(counts), one.layout.only(~counts)
        of_outliers = one.layout.only(outlier)
        of_sae, *of_others = (next(tables) for _ in one.tables)
        counted = of_sae.rows(layout, peaks=True)
        left = of_sae.rows(apart, outliers=True)
        for rows in (counted, left):
            refuse_no_features(rows, one.reading.where)
        usage = PartialUsage(
            counted=counted,
            outliers=left,
            outlier_tokens=of_outliers.tokens,
            outlier_ids=of_outliers.ids,
            fit=Fit.of(of_sampled, counts[one.layout.sampled], one.reading.where),
            without=Without(of_sae.without.astype(np.float64), layout.documents_outside()),
        )
        beside = (PartialUsage.of_dictionary(each.rows(layout), layout, each.d_sae) for each in of_others)
        yield usage, *beside


class _Found(NamedTuple):
    """The entries of a table that are not 0, on the host."""

    d_sae: int
    places: Integers
    """(nnz,) in (B or 2 B x F), ascending."""
    counts: Integers
    """(nnz,)"""
    peaks: Integers
    """(nnz,) anything outside the first B rows of an SAE's."""
    sums: npt.NDArray[np.float32]
    """(nnz,)"""
    without: npt.NDArray[np.float32]
    """(S, K or 0, F)"""

    def rows(self, layout: TokenLayout, *, peaks: bool = False, outliers: bool = False) -> Rows:
        """What each document uses.

        Args:
            layout: Of the tokens that are told of.
            peaks: Whether to tell where the target's documents use each feature most.
            outliers: Whether the outliers' half of the table is told, not that of what counts.
        """
        n = len(layout.tokens)
        first = np.searchsorted(self.places, n * self.d_sae)
        half = slice(first, None) if outliers else slice(None, first)
        document, features = np.divmod(self.places[half], self.d_sae)
        document -= n * outliers
        there = (layout.sides[document] == 0) & peaks
        return Rows(
            tokens=layout.tokens,
            lengths=np.bincount(document, minlength=n),
            indices=features,
            means=(self.sums[half] / layout.tokens[document]).astype(np.float32),
            counts=self.counts[half],
            peaks=np.where(there, self.peaks[half], -1),
        )


def _found(tables: Sequence[Table]) -> Iterator[_Found]:
    """All that is told of some tables, asked for at once."""
    import torch

    sums, fired, peaks, without = (
        torch.cat([one.flatten() for one in part]) for part in zip(*tables, strict=True)
    )
    ends, ends_of_peaks, ends_of_without = (
        np.cumsum([part.numel() for part in column])
        for column in (
            [one.fired for one in tables],
            [one.peaks for one in tables],
            [one.without for one in tables],
        )
    )
    starts = np.concatenate([[0], ends[:-1]])
    places = torch.nonzero(fired)[:, 0]
    # A table's peaks lie as its first rows do, behind those of the tables before it.
    table = torch.searchsorted(sent(ends, fired.device), places, right=True)
    back = sent(starts - np.concatenate([[0], ends_of_peaks[:-1]]), fired.device)
    highest = peaks[(places - back[table]).clamp_max(len(peaks) - 1)]
    whole = torch.stack([places, fired[places].long(), highest.long()]).cpu().numpy()
    values, outside = sums[places].cpu().numpy(), without.cpu().numpy()
    cuts = np.searchsorted(whole[0], ends[:-1])
    for one, start, (at, counts, most), of_table, left in zip(
        tables,
        starts,
        np.split(whole, cuts, axis=1),
        np.split(values, cuts),
        np.split(outside, ends_of_without[:-1]),
        strict=True,
    ):
        shape = one.without.shape
        yield _Found(one.fired.shape[1], at - start, counts, most, of_table, left.reshape(shape))
