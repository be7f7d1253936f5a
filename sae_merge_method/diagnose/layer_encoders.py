"""What encodes one layer: its SAE, and beside it dictionaries that nobody trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.diagnose.settings import EncodingSettings
from sae_merge_method.saes.dictionaries import DICTIONARIES, DirectionsEncoder, Sizes, load_dictionary
from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.saes.sae import LayerSae

if TYPE_CHECKING:
    from sae_merge_method.models.text_model import TextModel


class LayerEncoders(NamedTuple):
    """One layer's SAE, and the dictionaries beside it."""

    sae: LayerSae
    beside: Mapping[str, DirectionsEncoder]

    def key(self, name: str) -> str:
        """Names one of the dictionaries beside this very SAE."""
        return f"{self.sae.key}-{name}"

    @property
    def nbytes(self) -> int:
        """Memory of all of them."""
        others = sum(encoder.directions.nbytes for encoder in self.beside.values())
        return self.sae.encoder_bytes + int(others)

    def stored(self) -> dict[str, tuple[str, int]]:
        """Under which key, and with how many features, the usage of each is kept; "" for the SAE."""
        of_others = {name: (self.key(name), len(one.directions)) for name, one in self.beside.items()}
        return {"": (self.sae.key, self.sae.source.d_sae), **of_others}


def load_beside(address: SaeAddress, model: "TextModel") -> LayerSae:
    """Load an SAE onto the device of its layer: a model may be spread over several."""
    device = next(model.blocks[address.layer].parameters()).device
    return load_sae(address, model.d_model, model.dtype, device)


def load_layer_encoders(settings: EncodingSettings, address: SaeAddress, model: "TextModel") -> LayerEncoders:
    """Load a layer's SAE and, unless it is one of them, the dictionaries beside it."""
    sae = load_beside(address, model)
    if address.release in DICTIONARIES:
        return LayerEncoders(sae, {})  # nothing to hold against itself
    device = next(model.blocks[address.layer].parameters()).device
    d = model.d_model
    rows = [DICTIONARIES[name] for name in settings.dictionaries]
    # As many features as the SAE has, or one for every coordinate.
    sizes = {row.name: Sizes(sae.source.d_sae, None) if row.keeps_l0 else row.sizes("", d) for row in rows}
    return LayerEncoders(
        sae,
        {
            row.name: load_dictionary(row, sizes[row.name], address.layer, d, model.dtype, device)
            for row in rows
        },
    )
