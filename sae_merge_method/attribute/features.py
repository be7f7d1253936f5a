"""One layer's streams through its SAE: how much of its first-order effect passes through each feature.

With h the layer's output, g the gradient of the loss there and f the SAE's features, the effect at a token is

    - <g, h_edited - h_base> = - sum_j <g, W_dec_j> (f_j(h_edited) - f_j(h_base)) - <g, error>.

``<g, W_dec_j>`` is taken as the derivative of the SAE's own decoder by its features: whatever a format
normalises or rescales is in it, token by token.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.attribute.streams import Streams
from sae_merge_method.corpora.counting import norm_limit
from sae_merge_method.models.devices import exact_device

if TYPE_CHECKING:
    import torch

    from sae_merge_method.saes.encoders import Encoder
    from sae_merge_method.saes.sae import LayerSae

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

_TOKENS = 256
"""Tokens that are encoded at once: some matrices of so many times the SAE's width are in memory."""


class Passed(NamedTuple):
    """What passes through a layer in some batches: K batches, and an entry for each feature that fires in
    one."""

    group: Ints
    """(K,) number of the batch's group."""
    tokens: npt.NDArray[np.int64]
    """(K,) tokens that count."""
    effect: Floats
    """(K,) nats gained to first order, over those tokens."""
    uncounted: Floats
    """(K,) the same over the tokens that do not count."""
    batch: Ints
    """(N,) which of the K batches an entry is of."""
    feature: Ints
    """(N,)"""
    gain: Floats
    """(N,) nats gained through the feature."""
    base: Floats
    """(N,) its activations in the base, summed over the tokens that count."""
    edited: Floats
    """(N,) the same with the layer edited."""
    peak: Floats
    """(N,) the most nats, whichever way, at one token."""
    token: Ints
    """(N,) which: its place among the batch's tokens without padding."""


def passed(
    sae: "LayerSae",
    streams: Sequence[Streams],
    groups: Sequence[int],
    carries_text: Sequence[Mask],
    device: "torch.device",
) -> Passed:
    """Encode the streams of one layer, and share its effect out to features.

    Args:
        sae: The layer's.
        streams: By batch.
        groups: By batch, its group's number.
        carries_text: By batch, (n,) which of its tokens may count; those of outlying norm do not.
        device: Its encoder's.
    """
    import torch

    norms = [one.base.float().norm(dim=-1) for one in streams]
    texts = [torch.from_numpy(mask) for mask in carries_text]
    ordinary = torch.cat([norm[text] for norm, text in zip(norms, texts, strict=True)])
    limit = norm_limit(float(ordinary.median()) if len(ordinary) else 0.0)
    parts = []
    for nth, (one, norm, text) in enumerate(zip(streams, norms, texts, strict=True)):
        counts = text & (norm <= limit)
        effects = -(one.gradient.double() * (one.edited.double() - one.base.double())).sum(-1)
        sums = _through(sae, one, counts, device)
        used = np.flatnonzero((sums.base > 0) | (sums.edited > 0))
        parts.append(
            Passed(
                group=np.array([groups[nth]], np.int32),
                tokens=np.array([int(counts.sum())]),
                effect=np.array([float(effects[counts].sum())]),
                uncounted=np.array([float(effects[~counts].sum())]),
                batch=np.full(len(used), nth, np.int32),
                feature=used.astype(np.int32),
                gain=sums.gain[used],
                base=sums.base[used],
                edited=sums.edited[used],
                peak=sums.peak[used],
                token=sums.token[used],
            )
        )
    return joined(parts)


def joined(parts: Sequence[Passed]) -> Passed:
    """Those of several lots of batches, one after another; each counts its batches from its first."""
    return Passed(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Sums(NamedTuple):
    """Over the tokens of one batch that count, (F,) each."""

    gain: Floats
    base: Floats
    edited: Floats
    peak: Floats
    token: Ints


def _through(sae: "LayerSae", streams: Streams, counts: "torch.Tensor", device: "torch.device") -> _Sums:
    import torch

    d_sae, exact = sae.source.d_sae, exact_device(device)
    gain, base, edited = (torch.zeros(d_sae, dtype=torch.float64) for _ in range(3))
    peak, token = torch.zeros(d_sae), torch.zeros(d_sae, dtype=torch.long)
    wanted = counts.nonzero()[:, 0]
    for start in range(0, len(wanted), _TOKENS):
        rows = wanted[start : start + _TOKENS]
        gradient = streams.gradient[rows].to(device)
        before, in_base = _pulled(sae.encoder, streams.base[rows].to(device), gradient)
        after, when_edited = _pulled(sae.encoder, streams.edited[rows].to(device), gradient)
        gains = before - after
        for total, of_rows in ((gain, gains), (base, in_base), (edited, when_edited)):
            total += of_rows.to(exact).sum(0, dtype=torch.float64).cpu()
        highest, at = (one.cpu() for one in gains.abs().max(0))
        token = torch.where(highest > peak, rows[at], token)
        peak = torch.maximum(peak, highest)
    return _Sums(gain.numpy(), base.numpy(), edited.numpy(), peak.double().numpy(), token.int().numpy())


def _pulled(
    encoder: "Encoder", states: "torch.Tensor", gradient: "torch.Tensor"
) -> "tuple[torch.Tensor, torch.Tensor]":
    """(n, F) each feature times the loss's derivative by it, and the features, in float32.

    One decoding to each encoding: SAELens keeps the norms of what was encoded last.
    """
    import torch

    with torch.no_grad():
        features = encoder.encode(states)
    features = (features.to_dense() if features.is_sparse else features).detach()
    with torch.enable_grad():
        asked = features.clone().requires_grad_()
        rebuilt = encoder.decode(asked)
        (slopes,) = torch.autograd.grad(rebuilt, asked, gradient.to(rebuilt.dtype))
    return slopes.float() * features.float(), features.float()
