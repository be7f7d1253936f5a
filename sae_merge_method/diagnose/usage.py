"""How the documents of a batch use one layer's features: encoded, summed over tokens, by document.

Outliers, tokens whose norm is far above their layer's, are told apart here and summed for themselves: what
counts is one part, and both together are what would count without the rule.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.fit import NO_FIT, Fit, fit_of
from sae_merge_method.diagnose.token_features import encode_tokens, features_of
from sae_merge_method.diagnose.token_layout import Rows, TokenLayout, Without
from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.saes.encoders import norms_each_token

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.scales import CountingRule
    from sae_merge_method.diagnose.token_features import TokenFeatures
    from sae_merge_method.saes.dictionaries import DirectionsEncoder
    from sae_merge_method.saes.encoders import Encoder


class PartialUsage(NamedTuple):
    """What some documents use of one layer's features."""

    counted: Rows
    """On the tokens that count."""
    outliers: Rows
    """On the outliers that do not; without tokens where outliers count too."""
    outlier_tokens: npt.NDArray[np.int64]
    """(B,) outliers of each document, whether they count or not."""
    outlier_ids: npt.NDArray[np.int64]
    """(sum of those,) which tokens they are, document by document."""
    fit: Fit
    """Of the tokens sampled among these documents."""
    without: Without
    """Of these documents, by side and class left out."""


def encode_documents(
    encoder: "Encoder",
    residual: "torch.Tensor",
    layout: TokenLayout,
    rule: "CountingRule",
    beside: "Sequence[DirectionsEncoder]" = (),
    where: str = "a layer",
) -> tuple[PartialUsage, ...]:
    """Encode the tokens of some documents and sum them up by document.

    Args:
        encoder: The layer's SAE.
        residual: (T, d_model) residual stream, document by document.
        layout: Which tokens are whose.
        rule: Which of them count.
        beside: Other dictionaries, which take the SAE's centre and number of active features at each token.
        where: How messages name what puts the stream out.

    Returns:
        By the SAE, then by each of the others, of which there are neither outliers, nor a fit, nor classes.

    Raises:
        ModelError: An activation is NaN or infinite.
        SaeError: A feature is, or what is decoded of some.
    """
    import torch

    with torch.inference_mode():
        outlier = outliers(residual, rule, where)
        of_outliers = layout.only(outlier)
        nothing = _no_rows(len(layout.tokens))
        apart, fit_apart = nothing, NO_FIT
        if rule.leaves_out and outlier.any():
            device = residual.device
            left = torch.from_numpy(np.flatnonzero(outlier)).to(device, non_blocking=True)
            kept = torch.from_numpy(np.flatnonzero(~outlier)).to(device, non_blocking=True)
            features = encode_tokens(encoder, residual[left])
            apart = features.summed(of_outliers.tokens).rows()
            fit_apart = fit_of(encoder, residual[left], features, of_outliers.sampled, rule.mean, count=False)
            residual, layout = residual[kept], layout.only(~outlier)
        features = encode_tokens(encoder, residual)
        summed = features.summed(layout.tokens)
        counted = summed.rows(layout)
        if not np.isfinite(counted.means).all():
            raise SaeError(
                f"the SAE of {where} encodes to NaN or infinite numbers: is its file damaged, or its "
                "precision too narrow?"
            )
        usage = [
            PartialUsage(
                counted=counted,
                outliers=apart,
                outlier_tokens=of_outliers.tokens,
                outlier_ids=of_outliers.ids,
                fit=fit_of(encoder, residual, features, layout.sampled, rule.mean, count=True).plus(
                    fit_apart
                ),
                without=summed.without(layout),
            )
        ]
        if beside:
            active = features.active()
            centre = _centre(encoder, features, rule, residual.device)
            del features, summed  # as large as those of another dictionary
            unclassed = layout._replace(n_classes=0)
            for other in beside:
                summed = features_of(other.encode_beside(residual, centre, active)).summed(layout.tokens)
                without = summed.without(unclassed)
                none = nothing.tokens
                usage.append(PartialUsage(summed.rows(), nothing, none, none[:0], NO_FIT, without))
        return tuple(usage)


def _centre(
    encoder: "Encoder", features: "TokenFeatures", rule: "CountingRule", device: "torch.device"
) -> "torch.Tensor":
    """(d_model,) what the SAE decodes no feature to; the stream's mean where that differs by token."""
    import torch

    if norms_each_token(encoder):
        return torch.from_numpy(rule.mean).to(device)
    of_none = features.of_tokens(np.zeros(0, dtype=np.int64))
    return encoder.decode(of_none.new_zeros(1, of_none.shape[1]))[0]


def outliers(residual: "torch.Tensor", rule: "CountingRule", where: str = "a layer") -> npt.NDArray[np.bool_]:
    """(T,) which tokens' norms are above the limit.

    Raises:
        ModelError: One is NaN or infinite.
    """
    import torch

    norms = torch.linalg.vector_norm(residual, dim=1, dtype=torch.float32)
    # A GPU is waited for at each copy: both come over as one.
    above, finite = torch.stack([norms > rule.limit, norms.isfinite()]).cpu().numpy()
    if not finite.all():
        raise ModelError(f"what {where} puts out is NaN or infinite at {np.count_nonzero(~finite)} tokens")
    found: npt.NDArray[np.bool_] = above
    return found


def _no_rows(documents: int) -> Rows:
    none = np.zeros(0, dtype=np.int64)
    tokens = np.zeros(documents, dtype=np.int64)
    return Rows(tokens, tokens, none, none.astype(np.float32), none, none)
