"""The tensors against the models: the base's bytes outside the gate, ``base + alpha * tau`` inside."""

from collections.abc import Collection, Mapping, Sequence

from sae_merge_method.layers import (
    LayerModule,
    Unit,
    format_layers,
    layer_of,
    unit_of,
    unit_of_tensor,
    units_word,
)
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.headers import TensorEntry
from sae_merge_method.models.tensor_names import decoder_layer, layer_part
from sae_merge_method.recipe.precision import with_adapters
from sae_merge_method.verify.adapters import is_summed
from sae_merge_method.verify.expected import Expected, difference
from sae_merge_method.verify.hints import common_weight, find_swapped, nearest_weight, other_rounding
from sae_merge_method.verify.itself import is_journaled
from sae_merge_method.verify.report import Established
from sae_merge_method.verify.rounding import Reading, change_of, readings
from sae_merge_method.verify.sources import Sources
from sae_merge_method.verify.streams import Streams, is_float
from sae_merge_method.verify.sweep import Seen

_TRIED = 4
"""Violating tensors that are searched for another weight or rounding."""


def check_against_base(
    sources: Sources,
    expected: Mapping[str, Expected],
    readings: Sequence[Reading],
    seen: Mapping[str, Seen],
    streams: Streams,
    evidence: Established,
) -> None:
    """Every tensor that stands in both, as far as base and donors allow to say what it must be.

    Args:
        sources: What the checkpoint is held against.
        expected: What its tensors must be, of :func:`expectations`.
        readings: Of the recipe's dtypes, of :func:`readings_of`: one must fit all tensors.
        seen: What a sweep found by these.
        streams: Open files, to say how a wrong tensor differs.
        evidence: Takes what is proved and what is violated.
    """
    alive = tuple(readings)
    wrong: dict[str, Expected] = {}
    for name, must_be in expected.items():
        fitting = tuple(reading for reading in alive if reading in seen[name].fitting)
        alive = fitting or alive
        if not fitting:
            wrong[name] = must_be
    reading = alive[0]
    _violate(sources, wrong, reading, seen, streams, evidence)
    edited = [name for name, must_be in expected.items() if must_be.donors]
    outside = [name for name in expected if name not in edited]
    if outside and not wrong.keys() & set(outside):
        kept = _kept([expected[name] for name in outside], reading)
        evidence.prove(f"{len(outside)} tensors outside the selected {units_word(sources.layers)}: {kept}")
    if edited and not wrong.keys() & set(edited):
        summed = any(expected[name].summed for name in edited)
        how = reading.description
        if summed and sources.report is not None:
            how = with_adapters(how, sources.report.request.lora_merge_dtype)
        evidence.prove(f"{len(edited)} edited tensors: {_formula(sources, summed=summed)}, {how}")


def expectations(sources: Sources) -> dict[str, Expected]:
    """What is known of the tensors, by name: nothing of edited ones whose donors are not at hand."""
    known: dict[str, Expected] = {}
    base = sources.base
    if base is None:
        return known
    for name in sorted(set(sources.merged.tensors) & set(base.tensors)):
        entry, part = base.tensors[name], layer_part(name)
        if sources.in_place and not is_journaled(base, name):
            continue  # an edit in place keeps no copy of what it leaves alone
        if part is None or unit_of(sources.layers, part) is None:
            known[name] = Expected(entry)
        elif sources.plan is not None and sources.donors:
            donations = sources.plan.donations_to(part)
            givers = [sources.donors[one.model] for one in donations]
            donors = tuple(giver.layer_tensors[part] for giver in givers)
            change = change_of(sources.filter, name) if sources.filter else None
            alphas, summed = tuple(one.alpha(name) for one in donations), any(map(is_summed, givers, donors))
            known[name] = Expected(entry, donors, alphas, change, summed)
    return known


def readings_of(sources: Sources, expected: Mapping[str, Expected]) -> Sequence[Reading]:
    """The readings of a recipe; only the first where all would give the same: one dtype throughout."""
    of_recipe = readings(sources.recipe, sources.base.dtypes() if sources.base is not None else ())
    entries = [entry for must_be in expected.values() for entry in (must_be.base, *must_be.donors)]
    stored = {DTYPE_NAMES[entry.dtype] for entry in entries if is_float(entry)}
    passed = {dtype for one in of_recipe for dtype in (one.precision.loaded, one.precision.written) if dtype}
    return of_recipe[:1] if len(stored | passed) <= 1 else of_recipe


def _violate(
    sources: Sources,
    wrong: Mapping[str, Expected],
    reading: Reading,
    seen: Mapping[str, Seen],
    streams: Streams,
    evidence: Established,
) -> None:
    """Say of every wrong tensor what is wrong, and what may have happened to it."""
    tensors = sources.merged.tensors
    misstored = {name: _misstored(tensors[name], must_be, reading) for name, must_be in wrong.items()}
    comparable = {name: must_be for name, must_be in wrong.items() if misstored[name] is None}
    swapped = find_swapped(
        {name: seen[name].hashes.xxh3 for name in comparable},
        {name: must_be.xxh3(reading, streams) for name, must_be in comparable.items()},
    )
    edits = [name for name, must_be in comparable.items() if must_be.donors and name not in swapped]
    weight = common_weight(
        [nearest_weight(tensors[name], comparable[name], streams) for name in edits[:_TRIED]]
    )
    hints = {other_rounding(tensors[name], comparable[name], reading, streams) for name in edits[:_TRIED]}
    rounded = hints.pop() if len(hints) == 1 else None
    for name, must_be in wrong.items():
        fault = misstored[name] or _difference(tensors[name], must_be, reading, streams, sources.layers)
        if name in swapped:
            fault += f"; it holds the bytes that belong in {swapped[name]}"
        elif name in edits and rounded is not None:
            fault += f"; it is {rounded}"
        elif name in edits and weight is not None and abs(weight - must_be.alphas[0]) > 1e-3:
            fault += f"; it looks like weight {weight:.4g}, the recipe says {must_be.alphas[0]:g}"
        evidence.violate(name, fault)


def _misstored(entry: TensorEntry, must_be: Expected, reading: Reading) -> str | None:
    """What is wrong with dtype or shape, so that values need not be compared."""
    if entry.shape != must_be.base.shape:
        return f"shape {list(entry.shape)}, expected {list(must_be.base.shape)} like the base's"
    if entry.dtype != must_be.dtype(reading):
        return f"stored as {entry.dtype}, expected {must_be.dtype(reading)}"
    return None


def _difference(
    entry: TensorEntry, must_be: Expected, reading: Reading, streams: Streams, selected: Collection[Unit]
) -> str:
    what = "the base"
    if must_be.donors:
        what = "the edit computed anew" if must_be.change else "base + weight * (donor - base)"
    where = _place(entry.name, selected)
    if not is_float(entry):
        return f"its bytes differ from {what} ({where})"
    count, first, largest = difference(entry, must_be, reading, streams)
    return (
        f"{count} values differ from {what} ({where}), the first is number {first}, by at most {largest:.3g}"
    )


def _place(name: str, selected: Collection[Unit]) -> str:
    """Whether a tensor is selected, in words."""
    layer, unit = decoder_layer(name), unit_of_tensor(selected, name)
    if layer is None:
        return "outside the layers"
    if unit is not None:
        return f"{unit if isinstance(unit, LayerModule) else f'layer {layer}'} is selected"
    some = [one for one in selected if layer_of(one) == layer]
    return (
        f"of layer {layer} only {format_layers(some)} is selected"
        if some
        else f"layer {layer} is not selected"
    )


def _formula(sources: Sources, *, summed: bool) -> str:
    if sources.filter is None:
        how = "up to the last bits of an adapter's sums" if summed else "bit for bit"
        return f"base + weight * (donor - base), {how}"
    return f"as {sources.recipe.merge_method} computes them, up to the last bits of its sums"


def _kept(outside: Sequence[Expected], reading: Reading) -> str:
    own = {DTYPE_NAMES[must_be.base.dtype] for must_be in outside if is_float(must_be.base)}
    return reading.precision.kept_as(own) or "the base's bytes"
