"""What encodes one layer, or one part of it: its SAE, and beside it dictionaries that nobody trained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.diagnose.settings import EncodingSettings
from sae_merge_method.diagnose.sited_saes import SitedSae
from sae_merge_method.layers import Unit, part_of_layer
from sae_merge_method.loaded.sites import Site, names_within, site_width
from sae_merge_method.saes.dictionaries import DICTIONARIES, DirectionsEncoder, Sizes, load_dictionary
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.saes.sae import LayerSae

if TYPE_CHECKING:
    from sae_merge_method.loaded.text_model import TextModel


class LayerEncoders(NamedTuple):
    """One SAE, and the dictionaries beside it."""

    unit: Unit
    """The layer, or the part of one, that they tell of."""
    site: Site
    """What they read."""
    sae: LayerSae
    beside: Mapping[str, DirectionsEncoder]

    def key(self, name: str = "") -> str:
        """Names this very SAE, or a dictionary beside it: another SAE in the same place has another key."""
        part = part_of_layer(self.unit)
        of_unit = f"layer-{self.site.layer:03d}" + (f".{part}" if part else "")
        return f"{of_unit}-{self.sae.source.sha256[:16]}" + (f"-{name}" if name else "")

    @property
    def nbytes(self) -> int:
        """Memory of all of them."""
        others = sum(encoder.directions.nbytes for encoder in self.beside.values())
        return self.sae.encoder_bytes + int(others)

    def stored(self) -> dict[str, tuple[str, int]]:
        """Under which key, and with how many features, the usage of each is kept; "" for the SAE."""
        of_others = {name: (self.key(name), len(one.directions)) for name, one in self.beside.items()}
        return {"": (self.key(), self.sae.source.d_sae), **of_others}


def load_layer_encoders(settings: EncodingSettings, sited: SitedSae, model: "TextModel") -> LayerEncoders:
    """Load an SAE and, unless it is one of them, the dictionaries beside it.

    They lie on the device of their layer: a model may be spread over several.
    """
    address, site = sited
    device, d = next(model.blocks[site.layer].parameters()).device, site_width(model, site)
    sae = load_sae(address, d, model.dtype, device, site.hook, names_within(model, site.layer))
    if address.release in DICTIONARIES:
        return LayerEncoders(sited.unit, site, sae, {})  # nothing to hold against itself
    rows = [DICTIONARIES[name] for name in settings.dictionaries]
    # As many features as the SAE has, or one for every coordinate.
    sizes = {row.name: Sizes(sae.source.d_sae, None) if row.keeps_l0 else row.sizes("", d) for row in rows}
    return LayerEncoders(
        sited.unit,
        site,
        sae,
        {
            row.name: load_dictionary(row, sizes[row.name], address.layer, d, model.dtype, device)
            for row in rows
        },
    )
