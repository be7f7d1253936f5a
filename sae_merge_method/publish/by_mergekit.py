"""Whether plain ``mergekit-yaml`` runs a merged folder's recipe, and by which command, as its card says it.

A card may be written where base and donors are not at hand: what their files would tell is then left out.
"""

from contextlib import suppress

from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.errors import ModelError
from sae_merge_method.layers import layers_of, unit_of
from sae_merge_method.models.adapter import open_adapter
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.hub import ModelId, folder_at_hand, is_plain_to_mergekit, parse_model_id
from sae_merge_method.models.mergekit_layout import why_not_plain
from sae_merge_method.models.shards import lacks_weights
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.recipe.methods import needs_depth
from sae_merge_method.recipe.pin import models_of
from sae_merge_method.recipe.precision import rounded_by_mergekit
from sae_merge_method.reports.markdown import code, plain


def mergekit_words(merged: MergedFolder) -> str:
    """By which command of mergekit's the recipe runs, or that it runs by ``sae-merge merge`` alone."""
    reason = _why_not(merged)
    if reason is not None:
        return (
            f"{code(RECIPE_FILE)} is a recipe for {code(f'sae-merge merge {RECIPE_FILE} rebuilt/')} alone; "
            f"{code('mergekit-yaml')} cannot run it: {plain(reason)}."
        )
    command, asides = f"mergekit-yaml {RECIPE_FILE} rebuilt/", []
    if any(parse_model_id(name).adapter is not None for name in models_of(merged.recipe)):
        command += " --lora-merge-cache FOLDER"
        asides.append(", merging the adapter by peft, which rounds it before the edit: bytes may differ")
    rounding = _rounding(merged)
    if rounding is not None:
        asides.append(f"{' and' if asides else ','} {rounding}")
    diagnosis = merged.recipe.parameters.diagnosis
    where = f", where {code(diagnosis)} lies" if diagnosis is not None else ""
    return (
        f"{code(RECIPE_FILE)} is an ordinary mergekit recipe: with the package installed, "
        f"{code(command)} runs it too{where}{''.join(asides)}."
    )


def _why_not(merged: MergedFolder) -> str | None:
    """What keeps mergekit from the recipe; None where nothing is known to."""
    method, gate = merged.recipe.merge_method, merged.recipe.parameters
    if needs_depth(method, gate):
        reader = method if gate.select is None else f"select: {gate.select}"
        needs = f'{reader} with layers: "{gate.layers}" needs'
        return f"it does not say how many layers the base has, which {needs}"
    names = models_of(merged.recipe)
    odd = next((name for name in names if not is_plain_to_mergekit(name)), None)
    if odd is not None:
        return f"it takes what follows an @ or + in {odd} for a revision or an adapter"
    base, *donors = map(parse_model_id, names)
    # One that is not at hand is taken to be laid out as the others are.
    known = _at_hand(base) or merged.checkpoint
    layers = layers_of(merged.layers)
    reasons = (
        _adapters_note(donor) or why_not_plain(known, _at_hand(donor) or known, layers) for donor in donors
    )
    return next(filter(None, reasons), None)


def _rounding(merged: MergedFolder) -> str | None:
    """What mergekit rounds before the edit that ``sae-merge merge`` did not, where that is known.

    Of a folder without a report it is not known which of the two made it.
    """
    recipe, report = merged.recipe, merged.report
    if report is None or report.base_dtypes is None:
        return None
    base = {DTYPE_NAMES[kind] for kind in report.base_dtypes if kind in DTYPE_NAMES}
    models = filter(None, map(_at_hand, map(parse_model_id, models_of(recipe))))
    edited = {
        DTYPE_NAMES[entry.dtype]
        for model in models
        for part, entry in model.layer_tensors.items()
        if entry.is_float and unit_of(merged.layers, part) is not None
    }
    wider = rounded_by_mergekit(recipe, base, edited)
    if not wider:
        return None
    widest = "float64" if "float64" in wider else "float32"
    same = f"dtype: {widest}", f"out_dtype: {recipe.target_dtype}"
    return (
        f"rounding what is stored in {'/'.join(wider)} to {recipe.dtype} before the edit: bytes may differ "
        f"(write {' and '.join(map(code, same))} for one rounding, at the end)"
    )


def _at_hand(model: ModelId) -> Checkpoint | None:
    """A whole model; None where it would have to be fetched, or is damaged, which is for others to tell."""
    with suppress(ModelError):
        folder = folder_at_hand(model) if model.adapter is None else None
        if folder is not None and not lacks_weights(folder):
            return open_checkpoint(folder)
    return None


def _adapters_note(model: ModelId) -> str | None:
    """What is odd about a model's adapter, where it has one and that is at hand."""
    with suppress(ModelError):
        folder = model.adapter.folder if model.adapter is not None else None
        notes = () if folder is None else open_adapter(folder).notes
        return f"of its adapter, {notes[0]}" if notes else None
    return None
