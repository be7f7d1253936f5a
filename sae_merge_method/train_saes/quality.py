"""What SAEs, as they are saved, make of text held out: what they explain, what their reconstruction costs.

For the loss, a forward pass begins at the SAE's layer, with what the layers before it have put out: they are
not computed again for every SAE. Where that is not all that later layers take of earlier ones, passes are
whole.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sae_merge_method.artifacts.sae_training import Judgement, SplicedLoss
from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory.stored_losses import StoredLosses
from sae_merge_method.loaded.passes import hooked, read_sites
from sae_merge_method.loaded.sites import Site
from sae_merge_method.loaded.text_model import TextModel
from sae_merge_method.models.devices import exact_device
from sae_merge_method.saes.encoders import Encoder
from sae_merge_method.train_saes.learner import Ground

LOSS_BATCH = 512
"""Tokens that go through the model together for a loss: their logits are many times as large."""


class SaeToJudge(NamedTuple):
    """An SAE to be judged."""

    encoder: Encoder
    """As it was saved."""
    ground: Ground
    """What was known of its activations when its training began."""


def judge(
    model: TextModel,
    saes: Mapping[Site, SaeToJudge],
    documents: Sequence[Document],
    batch_tokens: int,
    loss_tokens: int,
    folder: Path,
) -> dict[Site, Judgement]:
    """Judge some SAEs on held-out documents.

    Args:
        model: With its head.
        saes: Those in memory.
        documents: Held out.
        batch_tokens: Tokens that go through the model together, with padding.
        loss_tokens: Counted tokens of the first documents to judge the loss on.
        folder: On the disk to use where memory does not suffice for what is handed on.
    """
    tallies = {site: _Tally(sae) for site, sae in saes.items()}
    for batch in make_batches(documents, batch_tokens):
        places = torch.from_numpy(np.flatnonzero(batch.counted)).to(model.device)
        read_sites(model, batch, {site: partial(tally.add, places) for site, tally in tallies.items()})
    counted = np.cumsum([int(one.counted.sum()) for one in documents])
    few = documents[: int(np.searchsorted(counted, loss_tokens)) + 1]
    losses = _losses(model, saes, few, folder)
    return {site: tally.judgement(losses[site]) for site, tally in tallies.items()}


class _Tally:
    """Sums over held-out tokens, on the model's device."""

    def __init__(self, sae: SaeToJudge) -> None:
        self._sae = sae
        self._shares: list[torch.Tensor] = []
        self._squares, self._residuals, self._active, self._within = (
            torch.zeros((), dtype=torch.float64, device=exact_device(sae.ground.mean.device))
            for _ in range(4)
        )
        self._fired: torch.Tensor | None = None

    def add(self, places: torch.Tensor, states: torch.Tensor) -> None:
        """Of one batch (B, T, d), the tokens at some places."""
        encoder, ground = self._sae
        rows = states.flatten(0, 1).index_select(0, places).float()
        features = encoder.encode(rows)
        residuals = (rows - encoder.decode(features)).pow(2).sum(dim=1)
        squares = (rows - ground.mean).pow(2).sum(dim=1)
        within = rows.norm(dim=1) <= ground.bound
        active = features > 0
        self._shares.append(1 - residuals / squares)
        for total, of_tokens in (
            (self._squares, squares * within),
            (self._residuals, residuals * within),
            (self._active, active.sum(dim=1) * within),
            (self._within, within),
        ):
            total += of_tokens.sum().to(total.device)
        fired = active.any(dim=0)
        self._fired = fired if self._fired is None else self._fired | fired

    def judgement(self, loss: SplicedLoss) -> Judgement:
        shares = torch.cat(self._shares)
        within, squares = float(self._within), float(self._squares)
        assert self._fired is not None
        return Judgement(
            tokens=len(shares),
            explained_variance=1 - float(self._residuals) / squares if squares > 0 else 0.0,
            explained_median=float(shares.nan_to_num(0.0, 0.0, 0.0).median()),
            l0=float(self._active) / within if within else 0.0,
            silent=int((~self._fired).sum()),
            outliers=1 - within / len(shares),
            loss=loss,
        )


def _losses(
    model: TextModel, saes: Mapping[Site, SaeToJudge], documents: Sequence[Document], folder: Path
) -> dict[Site, SplicedLoss]:
    tokens = sum(int(one.counted.sum()) for one in documents)
    batches = list(make_batches(documents, LOSS_BATCH))
    stored = StoredLosses(model, batches, folder)
    base = 0.0
    for batch in batches:
        base += float(stored.of(batch).sum())
    losses: dict[Site, SplicedLoss] = {}
    for site in sorted(saes, key=lambda site: site.layer):  # what is stored is run on from layer to layer
        encoder, ground = saes[site]
        spliced = ablated = 0.0
        with stored.beginning_at(site.layer):
            for batch in batches:
                counted = torch.from_numpy(batch.counted).to(model.device)
                replaced = partial(_replaced, bound=ground.bound, counted=counted)
                with hooked(model, {site: partial(replaced, encoder)}):
                    spliced += float(stored.of(batch).sum())
                with hooked(model, {site: partial(replaced, None)}):
                    ablated += float(stored.of(batch).sum())
        losses[site] = _loss(tokens, base, spliced, ablated)
    return losses


def _loss(tokens: int, base: float, spliced: float, ablated: float) -> SplicedLoss:
    cost = ablated - base
    return SplicedLoss(
        tokens=tokens,
        base=base / tokens,
        spliced=spliced / tokens,
        ablated=ablated / tokens,
        recovered=(ablated - spliced) / cost if cost > 0 else None,
    )


def _replaced(
    encoder: Encoder | None, states: torch.Tensor, *, bound: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """Activations (B, T, d) with their reconstruction, or zeros, where tokens count."""
    rows = states.float()
    if encoder is None:
        made = torch.zeros_like(rows)
    else:
        made = encoder.decode(encoder.encode(rows.flatten(0, 1))).view_as(rows)
    counts = counted & (rows.norm(dim=-1) <= bound)
    return torch.where(counts[..., None], made, rows).to(states.dtype)
