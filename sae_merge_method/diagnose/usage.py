"""How the documents of a batch use features: encoded, summed over tokens, by document.

Outliers, tokens whose norm is far above their layer's, are told apart and summed for themselves: what counts
is one part, and both together are what would count without the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.diagnose.fit import NO_FIT, Fit
from sae_merge_method.diagnose.token_layout import Rows, TokenLayout, Without
from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.models.devices import sent
from sae_merge_method.saes.dictionaries import DirectionsEncoder
from sae_merge_method.saes.encoders import norms_each_token

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.scales import CountingRule
    from sae_merge_method.saes.encoders import Encoder


@dataclass
class Reading:
    """Who encodes what batches put out at one place, and how their tokens are counted."""

    encoder: "Encoder"
    """The place's SAE."""
    rule: "CountingRule"
    where: str
    """How messages name what puts the activations out."""
    beside: "Sequence[DirectionsEncoder]" = ()
    """Other dictionaries, which take the SAE's centre and number of active features at each token."""
    _centre: "torch.Tensor | None" = None

    @property
    def many_active(self) -> bool:
        """Whether it is known that many of the features are active at each token."""
        return isinstance(self.encoder, DirectionsEncoder) and self.encoder.l0 is None

    def centre(self, none: "torch.Tensor") -> "torch.Tensor":
        """(d_model,) what the SAE decodes no feature to; the mean where that differs by token.

        Args:
            none: (1, d_sae) zeros.
        """
        if self._centre is None:
            mean_stands = norms_each_token(self.encoder)
            self._centre = sent(self.rule.mean, none.device) if mean_stands else self.encoder.decode(none)[0]
        return self._centre


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

    @classmethod
    def of_dictionary(cls, counted: Rows, layout: TokenLayout, d_sae: int) -> "PartialUsage":
        """Of a dictionary beside the SAE: there are neither outliers, nor a fit, nor classes."""
        none = Rows.empty(len(layout.tokens))
        without = Without(np.zeros((layout.n_sides, 0, d_sae)), np.zeros((layout.n_sides, 0), np.int64))
        return cls(counted, none, none.tokens, none.indices, NO_FIT, without)


def told_apart(activations: "torch.Tensor", rule: "CountingRule") -> "tuple[torch.Tensor, torch.Tensor]":
    """(T,) which tokens' norms are above the limit, and (T,) whose are numbers at all, on their device."""
    import torch

    norms = torch.linalg.vector_norm(activations, dim=1, dtype=torch.float32)
    return norms > rule.limit, norms.isfinite()


def refuse_no_numbers(finite: npt.NDArray[np.bool_], where: str) -> None:
    """Refuse activations that are no numbers.

    Args:
        finite: (T,) which tokens' are.
        where: What puts them out.

    Raises:
        ModelError: One is not.
    """
    if not finite.all():
        raise ModelError(f"what {where} puts out is NaN or infinite at {np.count_nonzero(~finite)} tokens")


def refuse_no_features(rows: Rows, where: str) -> None:
    """Refuse features that are no numbers.

    Raises:
        SaeError: One is not.
    """
    if not np.isfinite(rows.means).all():
        raise SaeError(
            f"the SAE of {where} encodes to NaN or infinite numbers: is its file damaged, or its precision "
            "too narrow?"
        )
