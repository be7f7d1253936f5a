"""An attribution in short, for cards and reports of experiments: what each layer carries."""

from collections.abc import Collection

from pydantic import Field

from sae_merge_method.artifacts.attribution import AttributedText, Attribution
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.layers import LayerModule, Unit, format_layers


class CarriedByLayer(Record):
    """What one layer carries, along the path from base to donor, in nats a predicted token."""

    layer: int = Field(ge=0)
    """Index of the decoder layer."""
    gain: float
    """Of the donor's gain on the target."""
    share: float | None
    """Share of the donor's gain on the target that the layer carries; null where that gain is not told from
    none."""
    damage: tuple[float, ...]
    """Of the donor's damage to each control."""


class CarriedOfText(Record):
    """What the donor does to one text."""

    name: str
    """The text, as the user wrote it."""
    amount: float
    """Nats a predicted token: gained on the target, lost on a control."""
    told: bool
    """Whether its interval over groups of documents leaves out 0, on that side of it."""


class AttributionSummary(Record):
    """An attribution in short."""

    donor: str
    """The donor, as the user wrote it."""
    target: CarriedOfText
    """What the donor gains."""
    controls: tuple[CarriedOfText, ...]
    """What it costs, by control."""
    layers: tuple[CarriedByLayer, ...]
    """All decoder layers, ascending."""

    def sentences(self, edited: Collection[Unit] = ()) -> list[str]:
        """Which layer carries most of gain and damage, and what those that are edited carry together.

        Args:
            edited: Layers of an edit, whole or in part; empty for none.
        """
        told = [_of_text(self.target, "gain", {one.layer: one.gain for one in self.layers})]
        for nth, control in enumerate(self.controls):
            told.append(_of_text(control, "damage", {one.layer: one.damage[nth] for one in self.layers}))
        chosen = [one for one in self.layers if one.layer in edited]
        if chosen:
            gain = sum(one.gain for one in chosen)
            share = f" ({gain / self.target.amount:.1%})" if self.target.told else ""
            costs = "; ".join(
                f"{sum(one.damage[nth] for one in chosen):+.4f} of the damage to {control.name}"
                for nth, control in enumerate(self.controls)
            )
            which = f"Layer {chosen[0].layer} carries"
            if len(chosen) > 1:
                which = f"Layers {format_layers([one.layer for one in chosen])} carry"
            told.append(
                f"{which} {gain:+.4f} of the gain{share}, and {costs}, "
                "as the whole donor has them; alone they may have more or less."
            )
        if parts := [unit for unit in edited if isinstance(unit, LayerModule)]:
            told.append(f"What {format_layers(parts)} carry of their layers is not told apart here.")
        return told


def _of_text(text: CarriedOfText, what: str, amounts: dict[int, float]) -> str:
    layer = max(amounts, key=amounts.__getitem__)
    most = amounts[layer]
    if not text.told:
        return (
            f"The donor's {what} on {text.name} is not told from none ({text.amount:+.4f} nats a token); "
            f"most of it, {most:+.4f}, lies in layer {layer}."
        )
    share = most / text.amount
    return (
        f"Of the donor's {what} of {text.amount:.4f} nats a token on {text.name}, layer {layer} carries "
        f"{share:.1%}."
    )


def summary_of(attribution: Attribution) -> AttributionSummary | None:
    """An attribution in short; None where only the first order was taken, which says nothing of the whole."""
    if attribution.target.gain is None:
        return None
    harms = [control.attributed() for control in attribution.controls]
    return AttributionSummary(
        donor=attribution.donor.id,
        target=_carried(attribution.target, 1),
        controls=tuple(_carried(control, -1) for control in attribution.controls),
        layers=tuple(
            CarriedByLayer(
                layer=entry.layer,
                gain=(entry.path or entry.first_order).gain,
                share=entry.share,
                damage=tuple(-of_control[entry.layer] for of_control in harms),
            )
            for entry in attribution.target.layers
        ),
    )


def _carried(text: AttributedText, sign: int) -> CarriedOfText:
    assert text.gain is not None
    ends = [sign * end for end in (text.gain.low, text.gain.high) if end is not None]
    return CarriedOfText(name=text.name, amount=sign * text.gain.gain, told=bool(ends) and min(ends) > 0)
