"""One layer's sparse autoencoder, read only as far as it is asked for.

Decoder directions are read row by row, by byte ranges, without torch; the encoder is loaded when somebody
encodes. How one is opened is the affair of ``opening``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.errors import SaeError
from sae_merge_method.saes.checks import SaeDescription
from sae_merge_method.saes.encoder_hash import Parameter, encoder_sha256
from sae_merge_method.saes.encoders import Encoder, LoadedEncoder
from sae_merge_method.saes.find import SaeAddress

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Sae:
    """One layer's SAE, held against all refusals; of its weights nothing is in memory yet."""

    address: SaeAddress
    description: SaeDescription
    d_sae: int
    """Number of features."""
    d_in: int
    """Width of the residual stream."""
    read_directions: Callable[[Sequence[int]], Floats]
    """Rows (k, d_in) of the decoder, of features that it has."""
    load_encoder: "Callable[[torch.dtype, torch.device], LoadedEncoder]"

    def directions(self, features: Sequence[int]) -> Floats:
        """Decoder directions (k, d_in) of some features as they are stored, in float32 at least.

        Raises:
            SaeError: A feature it does not have, or a damaged file.
        """
        outside = [feature for feature in features if not 0 <= feature < self.d_sae]
        if outside:
            raise SaeError(
                f"the SAE {self.address} has {self.d_sae} features, 0 to {self.d_sae - 1}; "
                f"feature {outside[0]} was asked for"
            )
        return self.read_directions(features)

    def load(self, dtype: "torch.dtype", device: "torch.device") -> "LayerSae":
        """Load the encoder.

        Raises:
            SaeError: Its parameters are missing, misshapen or damaged.
        """
        loaded = self.load_encoder(dtype, device)
        damaged = [name for name, tensor in loaded.parameters.items() if tensor.isnan().any()]
        if damaged:
            raise SaeError(f"the SAE {self.address} holds NaN in {', '.join(damaged)}")
        return LayerSae(
            layer=self.address.layer,
            encoder=loaded.encoder,
            source=SaeSource(
                release=self.address.release,
                id=self.address.id,
                sha256=encoder_sha256({name: _used(tensor) for name, tensor in loaded.parameters.items()}),
                architecture=self.description.architecture,
                hook_point=self.description.hook_point,
                d_sae=self.d_sae,
                neuronpedia=self.description.neuronpedia,
            ),
            encoder_bytes=loaded.nbytes,
        )


class LayerSae(NamedTuple):
    """One layer's SAE ready to encode, and where it came from."""

    layer: int
    encoder: Encoder
    source: SaeSource
    encoder_bytes: int
    """Memory of the encoder, and of its decoder where SAELens holds it, too."""


def _used(tensor: "torch.Tensor") -> Parameter:
    import torch

    data: memoryview = tensor.detach().contiguous().cpu().view(torch.uint8).numpy().data
    return Parameter(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), [data])
