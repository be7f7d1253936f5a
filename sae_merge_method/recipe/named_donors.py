"""The donors that a recipe is to name: held against the base, and what follows for the recipe's text from
them."""

import logging
from collections.abc import Collection, Mapping
from typing import NamedTuple

from sae_merge_method.layers import layers_of
from sae_merge_method.models.adapter import Adapter, open_adapter
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.dtypes import holds
from sae_merge_method.models.hub import is_plain_to_mergekit, local_folder, parse_model_id
from sae_merge_method.models.mergekit_layout import why_not_plain
from sae_merge_method.recipe.lineage import oddities
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.preflight import check_donors, check_family, output_dtype

LOG = logging.getLogger(__name__)


class NamedDonor(NamedTuple):
    """A donor's files."""

    model: Checkpoint
    adapter: Adapter | None
    """What is put upon the model at merge time."""


def open_named(plan: EditPlan, base: Checkpoint, allow_mismatch: Collection[str]) -> dict[str, NamedDonor]:
    """The plan's donors by name, held against the base; what is odd about them is logged.

    Args:
        plan: The edit.
        base: Its base.
        allow_mismatch: Keys of config.json in which they may differ.

    Raises:
        ModelError: A donor cannot be had.
        MergeError: One is no fine-tune of the base, lacks a tensor of a selected layer, or has it in another
            shape; or its adapter does not fit it.
    """
    models: dict[str, Checkpoint] = {}
    adapters: dict[str, Adapter] = {}
    for name in plan.donors:
        named = parse_model_id(name)
        models[name] = open_checkpoint(local_folder(named))
        models[name].require_agreement(plan.layers_of(name))
        if named.adapter is not None:
            adapters[name] = open_adapter(local_folder(named.adapter))
    check_family(base, models, allow_mismatch)
    check_donors(plan, base, models)
    for name, adapter in adapters.items():
        adapter.require_fits(models[name], plan.layers_of(name), name)
    for oddity in oddities(plan, base, models, adapters):
        LOG.warning("%s", oddity)
    return {name: NamedDonor(model, adapters.get(name)) for name, model in models.items()}


def how_to_run(plan: EditPlan, base: Checkpoint, donors: Collection[NamedDonor]) -> tuple[str, ...]:
    """Lines that say which commands run the recipe."""
    by_us = "  sae-merge merge THIS_FILE out/"
    reasons: list[str | None] = [
        f"it takes what follows an @ or + in {name} for a revision or an adapter"
        for name in (plan.base, *plan.donors)
        if not is_plain_to_mergekit(name)
    ]
    for donor in donors:
        if donor.adapter is None:
            reasons.append(why_not_plain(base, donor.model, layers_of(plan.layers)))
        elif donor.adapter.notes:
            reasons.append(f"of its adapter, {donor.adapter.notes[0]}")
    reason = next(filter(None, reasons), None)
    if reason:
        return by_us, f"mergekit-yaml cannot run it: {reason}"
    if any(donor.adapter is not None for donor in donors):
        return "  mergekit-yaml THIS_FILE out/ --lora-merge-cache FOLDER", by_us
    return "  mergekit-yaml THIS_FILE out/", f"{by_us}     the same, checked before and after"


def dtype_lines(
    plan: EditPlan, base: Checkpoint, donors: Mapping[str, NamedDonor], asked: str | None = None
) -> dict[str, str]:
    """dtype lines under which the arithmetic is rounded once and other layers keep their bytes.

    Args:
        plan: The edit.
        base: Its base.
        donors: By the plan's names.
        asked: dtype to write in place of the base's, or None.
    """
    if asked is not None and base.dtypes() != {asked}:
        return {"dtype": asked, "out_dtype": asked} if holds(asked, base.dtypes()) else {"out_dtype": asked}
    if any(donor.adapter is not None for donor in donors.values()):  # merged only at merge time
        return {"dtype": "float32", "out_dtype": next(iter(base.dtypes()))} if len(base.dtypes()) == 1 else {}
    target = output_dtype(plan, base)
    if target is None:
        return {}
    if all(donor.model.dtypes() == {target} for donor in donors.values()):
        return {"dtype": target}
    return {"dtype": "float32", "out_dtype": target}
