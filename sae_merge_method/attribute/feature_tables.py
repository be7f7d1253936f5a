"""What passes through SAEs' features under an edit, as tables and in a sentence."""

from sae_merge_method.artifacts.attributed_features import AttributedFeature, AttributedFeatures
from sae_merge_method.artifacts.attribution import AttributedText, Attribution
from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.html import marked
from sae_merge_method.reports.numbers import percent, score, signed_decimal

_PLACES = 5
_TEXT = "text"
_THROUGH = "most through"


def feature_grids(attribution: Attribution) -> tuple[Grid, ...]:
    """A table a text; none where no SAE was asked."""
    if not attribution.saes:
        return ()
    gains = (feature_grid(attribution.target, 1),)
    return gains + tuple(feature_grid(control, -1) for control in attribution.controls)


def feature_grid(text: AttributedText, sign: int) -> Grid:
    """One row a layer that has an SAE: its own effect, and what of it passes through features.

    Args:
        text: The target or a control.
        sign: 1 to tell what the text gains, -1 for damage.
    """
    what = "gain" if sign > 0 else "damage"
    header = ("layer", what, "features", *(("apart",) if sign > 0 else ()), "error", "uncounted")
    rows = []
    for entry in text.layers:
        features = entry.by_feature
        if features is None:
            continue
        apart = () if sign < 0 else (_number(features.apart or 0.0),)
        numbers = (features.effect, features.features), (features.error, features.uncounted)
        before, after = ([_number(sign * value) for value in part] for part in numbers)
        rows.append((Cell(str(entry.layer), entry.layer), *before, *apart, *after, _most(features, sign)))
    return Grid(
        (*header, _THROUGH),
        tuple(rows),
        words=frozenset(("layer", _THROUGH)),
        title=f"{what} of each layer alone on {text.name}, through the features of its SAE",
    )


def _most(features: AttributedFeatures, sign: int) -> Cell:
    """The first feature, with the token that it acts most at."""
    if not features.top:
        return Cell("")
    first = features.top[0]
    where = f" {first.snippets[0]}" if first.snippets else ""
    return Cell(f"{first.feature} ({signed_decimal(sign * first.gain, _PLACES)}){where}")


def top_features_grid(features: AttributedFeatures, sign: int) -> Grid:
    """One row a feature of a layer that most passes through, with the text around where it acts."""
    what = "gain" if sign > 0 else "damage"
    header = ("feature", what, "mean in the base", "mean when edited", "preference", _TEXT)
    return Grid(header, tuple(_row(one, sign) for one in features.top), words=frozenset((_TEXT,)))


def _row(one: AttributedFeature, sign: int) -> tuple[Cell, ...]:
    return (
        Cell(str(one.feature), one.feature),
        _number(sign * one.gain),
        Cell(score(one.base, share=False), one.base),
        Cell(score(one.edited, share=False), one.edited),
        Cell(percent(one.preference), one.preference),
        Cell(" | ".join(one.snippets), html="<br>".join(map(marked, one.snippets))),
    )


def _number(value: float) -> Cell:
    return Cell(signed_decimal(value, _PLACES), value)


def features_sentence(attribution: Attribution) -> str | None:
    """What of the layers' effects on the target the SAEs tell; None where none was asked."""
    known = {entry.layer: entry.by_feature for entry in attribution.target.layers if entry.by_feature}
    if not known:
        return None
    told = [one for one in known.values() if abs(one.features) > abs(one.error)]
    layer, largest = max(known.items(), key=lambda item: item[1].effect)
    return (
        f"SAEs: in {len(told)} of {len(known)} layers more of what the layer alone does to the target passes "
        f"through features than the SAE leaves untold; of the {largest.effect:+.4f} nats a token of layer "
        f"{layer}, {largest.features:+.4f} pass through features, {largest.apart or 0.0:+.4f} through those "
        "that the controls do not use"
    )
