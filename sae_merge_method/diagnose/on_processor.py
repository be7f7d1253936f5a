"""A batch's documents encoded and summed on a processor: token by token, of which outliers are taken out."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.active_features import ActiveFeatures
from sae_merge_method.diagnose.fit import NO_FIT, Fit, distances_of
from sae_merge_method.diagnose.token_layout import Rows, TokenLayout
from sae_merge_method.diagnose.usage import (
    PartialUsage,
    Reading,
    refuse_no_features,
    refuse_no_numbers,
    told_apart,
)

if TYPE_CHECKING:
    import torch


def use_of(reading: Reading, activations: "torch.Tensor", layout: TokenLayout) -> tuple[PartialUsage, ...]:
    """What the documents use: of the SAE's features, then of each dictionary's beside it.

    Args:
        reading: The SAE and the rule.
        activations: (T, d_model), document by document.
        layout: Which tokens are whose.

    Raises:
        ModelError: An activation is NaN or infinite.
        SaeError: A feature is, or what is decoded of some.
        ManyActiveError: More features are active than are worth being looked for.
    """
    import torch

    encoder, rule = reading.encoder, reading.rule
    with torch.inference_mode():
        outlier, finite = (one.numpy() for one in told_apart(activations, rule))
        refuse_no_numbers(finite, reading.where)
        of_outliers = layout.only(outlier)
        apart, fit_apart = Rows.empty(len(layout.tokens)), NO_FIT
        if rule.leaves_out and outlier.any():
            left, kept = (torch.from_numpy(np.flatnonzero(one)) for one in (outlier, ~outlier))
            features = ActiveFeatures.encoded(encoder, activations[left])
            apart = features.summed(of_outliers.tokens).rows()
            refuse_no_features(apart, reading.where)
            fit_apart = _fit(reading, activations[left], features, of_outliers.sampled, count=False)
            activations, layout = activations[kept], layout.only(~outlier)
        features = ActiveFeatures.encoded(encoder, activations)
        summed = features.summed(layout.tokens)
        counted = summed.rows(layout)
        refuse_no_features(counted, reading.where)
        usage = [
            PartialUsage(
                counted=counted,
                outliers=apart,
                outlier_tokens=of_outliers.tokens,
                outlier_ids=of_outliers.ids,
                fit=_fit(reading, activations, features, layout.sampled, count=True).plus(fit_apart),
                without=summed.without(layout),
            )
        ]
        if reading.beside:
            active, none = features.active(), torch.zeros(1, features.shape[1], dtype=features.dtype)
            centre = reading.centre(none)
            for other in reading.beside:
                beside = ActiveFeatures.of(other.encode_beside(activations, centre, active))
                rows = beside.summed(layout.tokens).rows()
                usage.append(PartialUsage.of_dictionary(rows, layout, beside.shape[1]))
        return tuple(usage)


def _fit(
    reading: Reading,
    activations: "torch.Tensor",
    features: ActiveFeatures,
    sampled: npt.NDArray[np.bool_],
    *,
    count: bool,
) -> Fit:
    import torch

    if not sampled.any():
        return NO_FIT
    places = np.flatnonzero(sampled)
    read = activations[torch.from_numpy(places)]
    distances = distances_of(reading.encoder, read, features.of_tokens(places), reading.rule.mean)
    return Fit.of(distances.numpy(), np.full(len(places), count), reading.where)
