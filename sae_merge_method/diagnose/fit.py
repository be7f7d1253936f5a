"""How much of the residual stream an SAE explains, so that a few tokens cannot speak for all.

The usual figure divides two sums over tokens. One token of a hundred times the norm of others is then ten
thousand times as heavy, and a good SAE that was trained without such tokens explains less than nothing. Here
each token has a figure of its own, and a layer the median over tokens.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_diagnosis import LITTLE_EXPLAINED
from sae_merge_method.errors import SaeError
from sae_merge_method.models.devices import exact_device, sent
from sae_merge_method.saes.encoders import reconstruct

if TYPE_CHECKING:
    import torch

    from sae_merge_method.saes.encoders import Encoder


class Fit(NamedTuple):
    """An SAE's reconstruction of sampled tokens."""

    explained: npt.NDArray[np.float32]
    """(n,) of each token that counts, ``1 - |x - SAE(x)|^2 / |x - mean|^2``; 0 where the token is the
    mean."""
    residuals: float
    """Sum of |x - SAE(x)|^2 over all sampled tokens, outliers among them."""
    distances: float
    """Sum of |x - mean|^2 over the same."""

    @classmethod
    def of(
        cls, distances: npt.NDArray[np.float64], counted: npt.NDArray[np.bool_], where: str = "a layer"
    ) -> "Fit":
        """Of tokens as far away.

        Args:
            distances: (2, n) from :func:`distances_of`.
            counted: (n,) which of them count; the others are outliers.
            where: How messages name what was decoded.

        Raises:
            SaeError: The SAE decodes to what is no number.
        """
        if not np.isfinite(distances[0]).all():
            raise SaeError(f"the SAE of {where} decodes to NaN or infinite numbers: is its file damaged?")
        squares, away = distances[:, counted]
        explained = np.where(away > 0, 1 - squares / np.where(away > 0, away, 1), 0)
        return cls(explained.astype(np.float32), float(distances[0].sum()), float(distances[1].sum()))

    def plus(self, other: "Fit") -> "Fit":
        """Both samples together."""
        return Fit(
            np.concatenate([self.explained, other.explained]),
            self.residuals + other.residuals,
            self.distances + other.distances,
        )

    @property
    def median(self) -> float:
        """Median over tokens of the share that is explained; 0 without tokens."""
        return float(np.median(self.explained)) if len(self.explained) else 0.0

    @property
    def share(self) -> float:
        """Share of tokens of which at least half is explained."""
        return float((self.explained >= LITTLE_EXPLAINED).mean()) if len(self.explained) else 0.0

    @property
    def with_outliers(self) -> float:
        """The usual figure, over all tokens together; 0 where the stream does not vary."""
        return 1 - self.residuals / self.distances if self.distances > 0 else 0.0


NO_FIT = Fit(np.zeros(0, dtype=np.float32), 0.0, 0.0)


def distances_of(
    encoder: "Encoder",
    activations: "torch.Tensor",
    features: "torch.Tensor",
    mean: npt.NDArray[np.float32],
) -> "torch.Tensor":
    """How far sampled tokens are from what the SAE makes of them, and from the mean.

    Args:
        encoder: The layer's SAE.
        activations: (n, d_model) of the tokens.
        features: (n, d_sae) what they were encoded to.
        mean: (d_model,) of the stream.

    Returns:
        (2, n) float64, |x - SAE(x)|^2 and |x - mean|^2.
    """
    import torch

    exact = exact_device(activations.device)
    wide = activations.to(exact).double()
    error = wide - reconstruct(encoder, activations, features).to(exact).double()
    away = wide - sent(mean, exact).double()
    return torch.stack([error.square().sum(1), away.square().sum(1)])
