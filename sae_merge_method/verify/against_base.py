"""The tensors against the models: the base's bytes outside the gate, ``base + alpha * tau`` inside."""

from collections.abc import Sequence

from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.tensor_names import decoder_layer, layer_part
from sae_merge_method.verify.expected import Expected, difference, matches
from sae_merge_method.verify.hints import common_weight, find_swapped, nearest_weight
from sae_merge_method.verify.ledger import Ledger, Progress
from sae_merge_method.verify.rounding import Rounding, change_of, roundings
from sae_merge_method.verify.sources import Sources
from sae_merge_method.verify.streams import Streams, is_float

_WEIGHTS_TRIED = 4
"""Violating tensors that are searched for another weight."""


def check_against_base(sources: Sources, streams: Streams, progress: Progress, ledger: Ledger) -> None:
    """Every tensor that stands in both, as far as base and donors allow to say what it must be."""
    expected = expectations(sources)
    alive = _distinct(roundings(sources.recipe), expected)
    wrong: dict[str, Expected] = {}
    for name, demand in expected.items():
        found = sources.merged.tensors[name]
        fitting = [rounding for rounding in alive if matches(found, demand, rounding, streams)]
        alive = fitting or alive
        if not fitting:
            wrong[name] = demand
        progress.advance(found.nbytes)
    rounding = alive[0]
    _name_violations(sources, wrong, rounding, streams, ledger)
    bad_edits = sum(bool(demand.donors) for demand in wrong.values())
    edited = sum(bool(demand.donors) for demand in expected.values())
    kept = _unedited_words(expected, rounding)
    ledger.conclude(
        f"{len(expected) - edited} tensors outside the selected layers: {kept}",
        len(wrong) - bad_edits,
    )
    if edited:
        ledger.conclude(
            f"{edited} edited tensors: {_edit_words(sources)}, {rounding.words}",
            bad_edits,
        )


def expectations(sources: Sources) -> dict[str, Expected]:
    """What is known of the tensors, by name: nothing of edited ones whose donors are not at hand."""
    assert sources.base is not None
    known: dict[str, Expected] = {}
    for name in sorted(set(sources.merged.tensors) & set(sources.base.tensors)):
        base = sources.base.tensors[name]
        place = layer_part(name)
        if place is None or place.layer not in sources.layers:
            known[name] = Expected(base)
        elif sources.plan is not None and sources.donors:
            gifts = sources.plan.donations[place.layer]
            donors = tuple(sources.donors[gift.model].layer_tensors[place] for gift in gifts)
            change = change_of(sources.filter, name) if sources.filter else None
            known[name] = Expected(base, donors, tuple(gift.alpha(name) for gift in gifts), change)
    return known


def _distinct(readings: Sequence[Rounding], expected: dict[str, Expected]) -> list[Rounding]:
    """Only the first reading where all would give the same: everything is in one dtype already."""
    entries = [entry for demand in expected.values() for entry in (demand.base, *demand.donors)]
    kinds = {entry.dtype for entry in entries if is_float(entry)}
    targets = {Expected(entry).dtype(reading) for entry in entries[:1] for reading in readings}
    return list(readings[:1] if len(kinds | targets) <= 1 else readings)


def _name_violations(
    sources: Sources, wrong: dict[str, Expected], rounding: Rounding, streams: Streams, ledger: Ledger
) -> None:
    tensors = sources.merged.tensors
    sound = {
        name: demand for name, demand in wrong.items() if _fault(tensors[name], demand, rounding) is None
    }
    found = {name: streams.hashes(tensors[name]).xxh3 for name in sound}
    swapped = find_swapped(found, {name: sound[name].xxh3(rounding, streams) for name in sound})
    edits = [name for name in sound if sound[name].donors and name not in swapped]
    tried = [nearest_weight(tensors[name], sound[name], streams) for name in edits[:_WEIGHTS_TRIED]]
    weight = common_weight(tried)
    for name, demand in wrong.items():
        fault = _fault(tensors[name], demand, rounding)
        if fault is None:
            fault = _differs(tensors[name], demand, rounding, streams)
        if name in swapped:
            fault += f"; it holds the bytes that belong in {swapped[name]}"
        elif name in edits and weight is not None and abs(weight - demand.alphas[0]) > 1e-3:
            fault += f"; it looks like weight {weight:.4g}, the recipe says {demand.alphas[0]:g}"
        ledger.violate(name, fault)


def _fault(found: TensorEntry, demand: Expected, rounding: Rounding) -> str | None:
    """What is wrong with dtype or shape, so that values need not be compared."""
    if found.shape != demand.base.shape:
        return f"shape {list(found.shape)}, expected {list(demand.base.shape)} like the base's"
    if found.dtype != demand.dtype(rounding):
        return f"stored as {found.dtype}, expected {demand.dtype(rounding)}"
    return None


def _differs(found: TensorEntry, demand: Expected, rounding: Rounding, streams: Streams) -> str:
    layer = decoder_layer(found.name)
    what = "the base"
    if demand.donors:
        what = "the edit computed anew" if demand.change else "base + weight * (donor - base)"
    place = (
        f"layer {layer} is {'' if demand.donors else 'not '}selected"
        if layer is not None
        else "outside the layers"
    )
    if not is_float(found):
        return f"its bytes differ from {what} ({place})"
    count, first, largest = difference(found, demand, rounding, streams)
    return (
        f"{count} values differ from {what} ({place}), the first is number {first}, by at most {largest:.3g}"
    )


def _edit_words(sources: Sources) -> str:
    if sources.filter is None:
        return "base + weight * (donor - base), bit for bit"
    return f"as {sources.recipe.merge_method} computes them, up to the last bits of its sums"


def _unedited_words(expected: dict[str, Expected], rounding: Rounding) -> str:
    kept = all(demand.is_kept(rounding) for demand in expected.values() if not demand.donors)
    return (
        "the base's bytes" if kept else f"the base's values, rounded to {rounding.written or rounding.loaded}"
    )
