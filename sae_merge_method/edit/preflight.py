"""Everything that can be known to be wrong before a tensor is read, from headers and configs alone."""

import logging
from collections.abc import Mapping
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.checkpoints import DTYPE_NAMES, Checkpoint
from sae_merge_method.edit.plan import EditPlan
from sae_merge_method.errors import MergeError, RecipeError
from sae_merge_method.tensor_names import decoder_layer

LOG = logging.getLogger(__name__)


def require_diagnosis_of(base: Checkpoint, base_name: str, diagnosis: Diagnosis, path: Path) -> None:
    """Refuse a diagnosis that was made on another model than the recipe's base.

    Raises:
        RecipeError: The configs differ.
    """
    model = diagnosis.model
    if model.config_sha256 != base.config_sha256:
        raise RecipeError(
            f"{path} is a diagnosis of {model.id} (config.json {model.config_sha256[:12]}...), the base "
            f"{base_name} has another config.json ({base.config_sha256[:12]}...): diagnose the base, "
            "or write its layers out"
        )


def output_dtype(plan: EditPlan, base: Checkpoint, donors: Mapping[str, Checkpoint]) -> str | None:
    """dtype to write, or None where every tensor keeps the base's own.

    Raises:
        RecipeError: float16 over a bfloat16 base (lossy in every tensor, and Gemma 3 overflows),
            or a base of several dtypes that a donor does not share, with no dtype given.
    """
    kinds = base.dtypes()
    if plan.dtype == "float16" and kinds != {"float16"}:
        raise RecipeError(
            f"dtype: float16 over a {'/'.join(sorted(kinds))} base would change every tensor: "
            f"write dtype: {min(kinds)}"
        )
    if plan.dtype is not None:
        if kinds != {plan.dtype}:
            LOG.warning(
                "the base is %s and the recipe writes %s: no tensor keeps its bytes",
                "/".join(sorted(kinds)),
                plan.dtype,
            )
        return plan.dtype
    if len(kinds) == 1:
        return next(iter(kinds))
    for layer, gifts in plan.donations.items():
        for gift in gifts:
            for name, entry in base.tensors.items():
                if decoder_layer(name) == layer and donors[gift.model].tensors[name].dtype != entry.dtype:
                    raise RecipeError(
                        f"{name} is {entry.dtype} in the base and {donors[gift.model].tensors[name].dtype} "
                        "in the donor, and the base mixes dtypes: say which one to write with dtype:"
                    )
    return None


def check_donors(plan: EditPlan, base: Checkpoint, donors: Mapping[str, Checkpoint]) -> None:
    """Every tensor of every open layer must stand in each of its donors, with the base's shape.

    Raises:
        MergeError: A tensor is missing, misshapen, or not floating point; the message names it.
    """
    for layer in plan.layers:
        names = [name for name in base.tensors if decoder_layer(name) == layer]
        if not names:
            raise MergeError(f"the base {plan.base} has no tensor in layer {layer}")
        for gift in plan.donations[layer]:
            for name in names:
                _check_tensor(name, base, donors[gift.model], gift.model)


def _check_tensor(name: str, base: Checkpoint, donor: Checkpoint, donor_name: str) -> None:
    ours, theirs = base.tensors[name], donor.tensors.get(name)
    if theirs is None:
        raise MergeError(
            f"{name} lies in a selected layer, but the donor {donor_name} has no such tensor "
            f"(it has {_example(donor)})"
        )
    if theirs.shape != ours.shape:
        raise MergeError(
            f"{name}: expected shape {list(ours.shape)} like the base's, "
            f"got {list(theirs.shape)} in the donor {donor_name}"
        )
    for side, entry in (("base", ours), (f"donor {donor_name}", theirs)):
        if entry.dtype not in DTYPE_NAMES:
            raise MergeError(f"{name} is {entry.dtype} in the {side}: expected {', '.join(DTYPE_NAMES)}")


def _example(donor: Checkpoint) -> str:
    inside = [name for name in donor.tensors if decoder_layer(name) is not None]
    return f"layers named like {inside[0]}" if inside else "no decoder layers"
