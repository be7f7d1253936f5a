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
from sae_merge_method.models.devices import exact_device
from sae_merge_method.saes.encoders import reconstruct

if TYPE_CHECKING:
    import torch

    from sae_merge_method.diagnose.token_features import TokenFeatures
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


def fit_of(
    encoder: "Encoder",
    residual: "torch.Tensor",
    features: "TokenFeatures",
    sampled: npt.NDArray[np.bool_],
    mean: npt.NDArray[np.float32],
    *,
    count: bool,
) -> Fit:
    """Reconstruct the sampled tokens.

    Args:
        encoder: The layer's SAE.
        residual: (T, d_model) residual stream.
        features: What it was encoded to.
        sampled: (T,) which tokens to reconstruct.
        mean: (d_model,) of the stream.
        count: Whether they count, or are outliers.

    Raises:
        SaeError: The SAE decodes to what is no number.
    """
    import torch

    if not sampled.any():
        return NO_FIT
    places = np.flatnonzero(sampled)
    read = residual[torch.from_numpy(places).to(residual.device, non_blocking=True)]
    exact = exact_device(residual.device)
    activations = read.to(exact).double()
    error = activations - reconstruct(encoder, read, features.of_tokens(places)).to(exact).double()
    away = activations - torch.from_numpy(mean).to(exact, non_blocking=True).double()
    # A GPU is waited for at each copy: both come over as one.
    squares, distances = torch.stack([error.square().sum(1), away.square().sum(1)]).cpu().numpy()
    if not np.isfinite(squares).all():
        raise SaeError("an SAE decodes to NaN or infinite numbers: is its file damaged?")
    explained = np.where(distances > 0, 1 - squares / np.where(distances > 0, distances, 1), 0)
    return Fit(
        (explained if count else explained[:0]).astype(np.float32),
        float(squares.sum()),
        float(distances.sum()),
    )
