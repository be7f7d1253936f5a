"""From sums over groups of documents to what an attribution says of a text: amounts, intervals, shares."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.attributed_features import AttributedFeatures
from sae_merge_method.artifacts.attribution import Amount, AttributedLayer, AttributedText
from sae_merge_method.artifacts.attribution_groups import TextGroups
from sae_merge_method.attribute.path import PathGain
from sae_merge_method.attribute.texts import Text
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.tensors import LiveTensor
from sae_merge_method.statistics.intervals import LEVEL
from sae_merge_method.statistics.losses import paired_ratio

Floats = npt.NDArray[np.float64]


def amount(nats: Floats, tokens: npt.NDArray[np.int64]) -> Amount:
    """Nats gained a predicted token, with the interval of a ratio of sums over groups (Cochran 1977, 6.4).

    Args:
        nats: (G,) summed over each group.
        tokens: (G,) of each group.
    """
    ratio = paired_ratio([0.0] * len(nats), nats.tolist(), tokens.tolist())
    interval = ratio.interval(LEVEL)
    if interval is None:
        return Amount(gain=ratio.delta)
    return Amount(gain=ratio.delta, low=interval.low, high=interval.high)


def attributed_text(
    text: Text,
    sums: TextGroups,
    path: PathGain | None,
    edited: EditedModel,
    by_feature: Mapping[int, AttributedFeatures],
) -> AttributedText:
    """What the sums over a text's groups say of every layer, part and tensor."""
    tensors, total = edited.tensors, float(text.tokens.sum())
    best = sums.first_order if path is None else path.tensors
    each = best.sum(0) / total
    whole = None if path is None else amount(path.base - path.donor, text.tokens)
    first, along = (
        edited.sum_by_layer(part.T) if part.size else None for part in (sums.first_order, sums.path)
    )
    assert first is not None
    layers = [
        AttributedLayer(
            layer=layer,
            first_order=amount(first[layer], text.tokens),
            path=None if along is None else amount(along[layer], text.tokens),
            share=None
            if along is None or whole is None
            else _share(float(along[layer].sum()) / total, whole),
            kinds=_kinds(tensors, each, layer),
            probe=amount(sums.probes[:, layer], text.tokens) if sums.probes.size else None,
            by_feature=by_feature.get(layer),
        )
        for layer in range(len(edited.model.blocks))
    ]
    return AttributedText(
        name=text.name,
        sha256=text.sha256,
        documents=text.documents,
        groups=len(text.groups),
        tokens=int(total),
        answers=text.answers,
        base_loss=float(sums.base.sum()) / total,
        donor_loss=None if path is None else float(path.donor.sum()) / total,
        gain=whole,
        missed=None if path is None else path.missed,
        points=(0.0,) if path is None else path.points,
        layers=tuple(layers),
        outside={
            tensor.part: float(one) for tensor, one in zip(tensors, each, strict=True) if tensor.layer is None
        },
        tensors={tensor.name: float(one) for tensor, one in zip(tensors, each, strict=True)},
    )


def _share(gain: float, whole: Amount) -> float | None:
    """None where nobody can say whether the whole is above or below 0: a share of it means nothing."""
    told = whole.low is not None and whole.high is not None and (whole.low > 0 or whole.high < 0)
    return gain / whole.gain if told else None


def _kinds(tensors: Sequence[LiveTensor], each: Floats, layer: int) -> dict[str, float]:
    kinds: dict[str, float] = {}
    for tensor, one in zip(tensors, each, strict=True):
        if tensor.layer == layer:
            kinds[tensor.kind] = kinds.get(tensor.kind, 0.0) + float(one)
    return kinds
