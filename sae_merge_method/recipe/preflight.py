"""Everything that can be known to be wrong before a tensor is read, from headers and configs alone."""

import logging
from collections.abc import Collection, Mapping, Sequence

from sae_merge_method.errors import MergeError, RecipeError, UsageError
from sae_merge_method.layers import LayerModule, Unit, layer_of, unit_of
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.constants import compared_keys, mismatches
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.parts import PARTS
from sae_merge_method.models.tensor_names import LayerPart
from sae_merge_method.models.unreadable import explain, quantised_by_config, quantised_by_names
from sae_merge_method.models.wrappers import plain_name, told, wrappers_of
from sae_merge_method.recipe.plan import EditPlan

LOG = logging.getLogger(__name__)


def check_dtype(plan: EditPlan, base: Checkpoint) -> None:
    """What a recipe asks to be written must be able to hold the base.

    Raises:
        RecipeError: float16 over another base: lossy in every tensor, and Gemma 3 overflows.
    """
    kinds = base.dtypes()
    if plan.dtype == "float16" and kinds != {"float16"}:
        instead = f"write dtype: {min(kinds)}" if len(kinds) == 1 else "leave it out, and each keeps its own"
        raise RecipeError(
            f"dtype: float16 over a {'/'.join(sorted(kinds))} base would change every tensor: {instead}"
        )


def output_dtype(plan: EditPlan, base: Checkpoint) -> str | None:
    """dtype to write, or None where every tensor keeps the base's own.

    Raises:
        RecipeError: See :func:`check_dtype`.
    """
    check_dtype(plan, base)
    kinds = base.dtypes()
    if plan.dtype is None:
        return next(iter(kinds)) if len(kinds) == 1 else None
    if kinds != {plan.dtype}:
        LOG.warning(
            "the base is %s and the recipe writes %s: no tensor keeps its bytes",
            "/".join(sorted(kinds)),
            plan.dtype,
        )
    return plan.dtype


def check_family(
    base: Checkpoint, donors: Mapping[str, Checkpoint], allow_mismatch: Collection[str] = ()
) -> None:
    """Every donor's text decoder must compute as the base's does, whatever layout either was saved in.

    Args:
        base: The base.
        donors: By the names that messages use.
        allow_mismatch: Keys of config.json in which they may differ; each that does is logged.

    Raises:
        UsageError: No constant has such a key.
        MergeError: Another model type, or other heads, widths, depth or constants; the message names the
            key and both values.
    """
    if allow_mismatch:  # to know the keys takes an import of transformers
        known = compared_keys(base)
        unknown = sorted(set(allow_mismatch).difference(known))
        if unknown:
            raise UsageError(f"--allow-mismatch {unknown[0]}: expected one of {', '.join(known)}")
    for name, donor in donors.items():
        if donor.text_model_type != base.text_model_type:
            raise MergeError(
                f"the base is a {base.text_model_type or 'nameless'} model ({base.layout}), the donor {name} "
                f"a {donor.text_model_type or 'nameless'} one ({donor.layout}): layers do not correspond"
            )
        differing = list(mismatches(base, donor))
        allowed = [one for one in differing if one.key in allow_mismatch]
        for one in allowed:
            LOG.warning("allowed: %s is %s in the base, %s in %s", one.key, one.of_base, one.of_donor, name)
        refused = [one for one in differing if one not in allowed]
        if refused:
            differences = ", ".join(
                f"{one.key} is {one.of_base} in the base ({base.layout}), {one.of_donor} in {name}"
                for one in refused
            )
            raise MergeError(
                f"{differences} ({donor.layout}): the same weights mean something else there, "
                "so it is no fine-tune of this base (--allow-mismatch KEY, if you know better)"
            )


def check_donors(plan: EditPlan, base: Checkpoint, donors: Mapping[str, Checkpoint]) -> None:
    """Every selected tensor must stand in each of its donors, with the base's shape.

    Tensors are matched by layer and name within it, so base and donor may be saved in different layouts.

    Raises:
        MergeError: A tensor is missing, misshapen, or not floating point; the message names it. Or a selected
            part is one that the base's layer does not have.
    """
    for unit in plan.layers:
        for donation in plan.donations[layer_of(unit)]:
            _check_unit(unit, base, plan.base, donors[donation.model], donation.model)


def open_donor(
    name: str,
    layers: Sequence[int],
    base: Checkpoint,
    base_name: str,
    allow_mismatch: Collection[str] = (),
) -> Checkpoint:
    """Open a whole donor whose task vector can be taken in these layers.

    Args:
        name: As the user writes it.
        layers: Decoder layers.
        base: The base.
        base_name: The base as the user names it, for messages.
        allow_mismatch: Keys of config.json in which they may differ.

    Raises:
        UsageError: The name asks for an adapter, or no constant has such a key.
        ModelError: There is no such model, or it cannot be read.
        MergeError: It is of another family than the base, or lacks a tensor.
    """
    donor = open_model(name)
    check_family(base, {name: donor}, allow_mismatch)
    for layer in layers:
        _check_unit(layer, base, base_name, donor, name)
    return donor


def _check_unit(unit: Unit, base: Checkpoint, base_name: str, donor: Checkpoint, donor_name: str) -> None:
    layer = layer_of(unit)
    parts = [part for part in base.layer_tensors if unit_of((unit,), part) is not None]
    if not parts:
        raise MergeError(_nothing_there(unit, base, base_name))
    for part in parts:
        fault = _tensor_fault(part, base, donor, donor_name)
        if fault is not None:
            for what, model in ((f"the base {base_name}", base), (f"the donor {donor_name}", donor)):
                require_plain(what, model, layer)
            raise MergeError(fault)


def _nothing_there(unit: Unit, base: Checkpoint, base_name: str) -> str:
    """Why a selected layer, or a part of one, has no tensor in a base, in words."""
    within = [part.part for part in base.layer_tensors if part.layer == layer_of(unit)]
    if not isinstance(unit, LayerModule) or not within:
        return f"the base {base_name} has no tensor in layer {layer_of(unit)} (its layout: {base.layout})"
    part, modules = PARTS[unit.part], sorted({name.partition(".")[0] for name in within})
    return (
        f"layers: {unit} is selected, but layer {unit.layer} of the base {base_name} has nothing that is "
        f"{unit.part} ({part.description}): it is made of {', '.join(modules)}, to be selected as a whole"
    )


def require_plain(what: str, model: Checkpoint, layer: int | None = None) -> None:
    """Make sure that a model, or one layer of it, is not quantised.

    Args:
        what: How messages name the model.
        model: The model.
        layer: Whose tensors to look at; None to go by the config alone.

    Raises:
        MergeError: It is; the message says how, and what to do.
    """
    entries = [entry for part, entry in model.layer_tensors.items() if part.layer == layer]
    by_names = quantised_by_names(entry.name for entry in entries)
    coded = by_names is not None or any(not entry.is_float for entry in entries)
    kind = quantised_by_config(model.config) if coded or layer is None else None
    kind = kind or by_names
    if kind is not None:
        raise MergeError(explain(what, kind))


def _tensor_fault(part: LayerPart, base: Checkpoint, donor: Checkpoint, donor_name: str) -> str | None:
    """What keeps one tensor from being edited, in words."""
    of_base, of_donor = base.layer_tensors[part], donor.layer_tensors.get(part)
    if of_donor is None:
        return (
            f"{of_base.name} lies in a selected layer, but the donor {donor_name} has no such tensor "
            f"(base: {base.layout}; donor: {donor.layout}){_wrapped(donor)}"
        )
    if of_donor.shape != of_base.shape:
        return (
            f"{of_base.name}: expected shape {list(of_base.shape)} like the base's, "
            f"got {list(of_donor.shape)} in the donor {donor_name}"
        )
    for side, entry in (("base", of_base), (f"donor {donor_name}", of_donor)):
        if entry.dtype not in DTYPE_NAMES:
            return (
                f"{entry.name} is {entry.dtype} in the {side}: expected {', '.join(DTYPE_NAMES)}; what is "
                "stored otherwise can be loaded by transformers in one of these, and saved anew"
            )
    return None


def _wrapped(donor: Checkpoint) -> str:
    """What a wrapper left in a donor's names, and the way out; nothing where none did."""
    plain = {name: plain_name(name) for name in donor.tensors}
    left = wrappers_of(plain)
    if not left and all(name == own for name, own in plain.items()):
        return ""
    whose = f": {told(left[0])}" if left else ": its names begin as an adapter's model does in peft"
    return f"{whose}, and it has to be saved without the wrapper"
