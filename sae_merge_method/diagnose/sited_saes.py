"""Which SAEs encode what: the families that were asked for, and the layers or parts that each tells of.

What an SAE reads is said by its own config. What must not be used is refused when it is loaded.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.diagnose.settings import EncodingSettings
from sae_merge_method.errors import SaeError, UsageError
from sae_merge_method.layers import LayerModule, Unit, by_depth, layer_of, layers_of, parse_units
from sae_merge_method.loaded.sites import HOOKS, Site, named_site, names_within
from sae_merge_method.saes.dictionaries import DICTIONARIES
from sae_merge_method.saes.find import SaeAddress, find_saes
from sae_merge_method.saes.opening import describe_sae

if TYPE_CHECKING:
    from sae_merge_method.loaded.text_model import TextModel

Families = tuple[tuple[SaeAddress, ...], ...]
"""By family of SAEs, where they lie, ascending by layer."""


class SitedSae(NamedTuple):
    """One SAE, and where what it encodes is read."""

    address: SaeAddress
    site: Site

    @property
    def unit(self) -> Unit:
        """What its score tells of: a layer, or a part of one."""
        part = HOOKS[self.site.hook].part
        return self.site.layer if part is None else LayerModule(self.site.layer, part)


def find_families(settings: EncodingSettings, n_layers: int) -> Families:
    """Find the SAEs of every family that was asked for.

    Raises:
        UsageError: More ids than families, or layers that the model does not have.
        SaeError: A family has no SAE of any of the layers.
    """
    layers = layers_of(parse_units(settings.layers, n_layers))
    ids: Sequence[str | None] = settings.sae_id or (None,)
    if len(ids) == 1:
        ids = [ids[0]] * len(settings.sae)
    if len(ids) != len(settings.sae):
        raise UsageError(
            f"expected one --sae-id for all, or one for each of {len(settings.sae)} --sae, got {len(ids)}"
        )
    return tuple(find_saes(source, id or None, layers) for source, id in zip(settings.sae, ids, strict=True))


def sited_saes(settings: EncodingSettings, families: Families, model: "TextModel") -> dict[Unit, SitedSae]:
    """The SAEs by what they tell of, in order of depth.

    Of a family the first one's config says what kind of activations all of them read.

    Raises:
        SaeError: A config cannot be read, or none of the SAEs tells of what was asked for.
        UsageError: Two of them tell of the same, or some of whole layers and some of parts.
    """
    wanted = parse_units(settings.layers, len(model.blocks))
    by_unit: dict[Unit, SitedSae] = {}
    for addresses in families:
        hook = _hook(addresses[0], model)
        for address in addresses:
            sited = SitedSae(address, Site(address.layer, hook))
            unit = sited.unit
            if unit not in wanted and layer_of(unit) not in wanted:
                continue
            if unit in by_unit:
                both = f"{by_unit[unit].address} and {address}"
                raise UsageError(f"two SAEs would tell of {_named(unit)}, {both}: expected one")
            by_unit[unit] = sited
    if not by_unit:
        raise SaeError(
            f"no SAE of {', '.join(settings.sae)} tells of {settings.layers}: those of attention or MLP tell "
            "of parts such as 11.attn, those of a block's output of whole layers"
        )
    _require_one_kind(by_unit)
    return {unit: by_unit[unit] for unit in sorted(by_unit, key=by_depth)}


def _hook(address: SaeAddress, model: "TextModel") -> str:
    """The kind of activations that an SAE reads; the output where it names none that is known."""
    if address.folder is None and address.release in DICTIONARIES:
        return Site(address.layer).hook
    named = named_site(describe_sae(address).hook_point, names_within(model, address.layer))
    return (named or Site(address.layer)).hook


def _require_one_kind(units: Collection[Unit]) -> None:
    """A whole layer and a part of it, ranked together, would be chosen for the same weights twice."""
    whole = [unit for unit in units if not isinstance(unit, LayerModule)]
    parts = [unit for unit in units if isinstance(unit, LayerModule)]
    if whole and parts:
        raise UsageError(
            f"some SAEs tell of whole layers (layer {whole[0]}), some of parts ({parts[0]}): what a part "
            "adds is in its layer's output as well, so they are not ranked together; make a diagnosis of each"
        )


def _named(unit: Unit) -> str:
    return f"{unit}" if isinstance(unit, LayerModule) else f"layer {unit}"
