"""An attribution as tables and in sentences."""

from sae_merge_method.artifacts.attribution import AttributedLayer, AttributedText, Attribution
from sae_merge_method.artifacts.donor_score import LayerScore
from sae_merge_method.attribute.feature_tables import feature_grids, features_sentence
from sae_merge_method.attribute.scores import DONOR_SCORES, describe
from sae_merge_method.reports.grid import NOTHING, Cell, Grid, with_content
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import decimal, percent, signed_decimal

_PLACES = 5


def attribution_view(attribution: Attribution) -> View:
    """A table a text, one of the scores, and what they say."""
    grids = (
        layers_grid(attribution.target, "gain"),
        *(layers_grid(control, "damage") for control in attribution.controls),
        *feature_grids(attribution),
        scores_grid(attribution),
    )
    return View(grids, head=tuple(sentences(attribution)), tail=tuple(notes(attribution)))


def sentences(attribution: Attribution) -> list[str]:
    """What the donor does to each text, and the layer that carries most of it."""
    told = [_sentence(attribution.target, "gain", 1)]
    told += [_sentence(control, "damage", -1) for control in attribution.controls]
    return [*told, *filter(None, [features_sentence(attribution)])]


def _sentence(text: AttributedText, what: str, sign: int) -> str:
    largest = max(text.layers, key=lambda entry: sign * _best(entry))
    if text.gain is None:
        return (
            f"{text.name}: to first order layer {largest.layer} has the largest {what}, "
            f"{sign * _best(largest):.4f} nats a token at weight one"
        )
    whole = sign * text.gain.gain
    moved = f"{text.name}: loss {text.base_loss:.4f} -> {text.donor_loss:.4f}, "
    if largest.share is None:
        carried = f"layer {largest.layer} has {sign * _best(largest):+.4f}"
        return f"{moved}a {what} that is not told from none; {carried}"
    if whole < 0:
        other = "damage" if what == "gain" else "gain"
        return f"{moved}no {what} but a {other} of {-whole:.4f} nats a token"
    missed = "" if text.missed is None else f"; {len(text.points)} points on the path miss {text.missed:.1%}"
    return (
        f"{moved}a {what} of {whole:.4f} nats a token, of which layer {largest.layer} carries "
        f"{largest.share:.1%}{missed}"
    )


def _best(entry: AttributedLayer) -> float:
    return (entry.path or entry.first_order).gain


def layers_grid(text: AttributedText, what: str) -> Grid:
    """One row a layer, then what lies outside the layers and the whole; ``what`` is "gain" or "damage"."""
    sign = 1 if what == "gain" else -1
    kinds = sorted({kind for entry in text.layers for kind in entry.kinds})
    header = ("layer", what, "interval", "share", *kinds, "first order", "alone")
    rows = [_layer_row(entry, sign, kinds) for entry in text.layers]
    rows += [
        (Cell(name), _number(sign * gain), *[Cell("")] * (len(header) - 2))
        for name, gain in text.outside.items()
        if gain
    ]
    ruled = {0, len(rows)}
    if text.gain is not None:
        low, high = sorted((sign * (text.gain.low or 0.0), sign * (text.gain.high or 0.0)))
        interval = (
            Cell("")
            if text.gain.low is None
            else Cell(f"{decimal(low, _PLACES)} to {decimal(high, _PLACES)}", low)
        )
        rows.append(
            (Cell("donor"), _number(sign * text.gain.gain), interval, *[Cell("")] * (len(header) - 3))
        )
    grid = Grid(
        header,
        tuple(rows),
        words=frozenset(("layer",)),
        ruled=frozenset(ruled),
        title=f"{what} on {text.name}",
    )
    return with_content(grid, keep=2)


def _layer_row(entry: AttributedLayer, sign: int, kinds: list[str]) -> tuple[Cell, ...]:
    amount = entry.path or entry.first_order
    ends = (
        [] if amount.low is None or amount.high is None else sorted((sign * amount.low, sign * amount.high))
    )
    return (
        Cell(str(entry.layer), entry.layer),
        _number(sign * amount.gain),
        Cell(f"{decimal(ends[0], _PLACES)} to {decimal(ends[1], _PLACES)}", ends[0]) if ends else Cell(""),
        Cell(percent(entry.share), entry.share),
        *(_number(sign * entry.kinds.get(kind, 0.0)) for kind in kinds),
        _number(sign * entry.first_order.gain) if entry.path is not None else Cell(""),
        _number(sign * entry.probe.gain) if entry.probe is not None else Cell(""),
    )


def _number(value: float) -> Cell:
    return Cell(signed_decimal(value, _PLACES), value)


def scores_grid(attribution: Attribution) -> Grid:
    """One row a layer, one column a score; above them how each ranks with depth."""
    scores = attribution.scores
    by_layer = [{entry.layer: entry for entry in one.layers} for one in scores]
    rows = [
        (Cell(str(layer), layer), *(_score_cell(of_score.get(layer)) for of_score in by_layer))
        for layer in range(len(attribution.target.layers))
    ]
    depth = [
        Cell(NOTHING)
        if one.depth is None
        else Cell(f"{one.depth.rho:+.2f} (p {one.depth.p:.2f})", one.depth.rho)
        for one in scores
    ]
    rows.append((Cell("with depth"), *depth))
    header = ("layer", *(one.name for one in scores))
    ruled = frozenset((0, len(rows) - 1))
    return Grid(
        header, tuple(rows), words=frozenset(("layer",)), ruled=ruled, title="scores for choosing layers"
    )


def _score_cell(entry: LayerScore | None) -> Cell:
    """With an asterisk where the layer stands off the score's null, false discoveries controlled."""
    if entry is None:
        return Cell(NOTHING)
    stands_out = entry.q is not None and entry.q <= _FDR
    return Cell(f"{entry.score:.4g}{_MARK if stands_out else ''}", entry.score, strong=stands_out)


_FDR = 0.05
_MARK = "*"


def notes(attribution: Attribution) -> list[str]:
    """What the numbers mean, and what is not in them."""
    told = [describe(one.name) for one in attribution.scores if one.name in DONOR_SCORES]
    nulls: dict[str, list[str]] = {}
    for one in attribution.scores:
        nulls.setdefault(one.null, []).append(one.name)
    told += [f"p of {', '.join(names)}: against {null}" for null, names in nulls.items() if null]
    told.append(f"{_MARK}: q at most {_FDR} over the layers")
    told.append("with depth: rank correlation with the layer's number, p among shifted and mirrored profiles")
    return told + [f"not in the task vector: {what}" for what in attribution.left_out]
