"""Open a plan's donors: plain checkpoints, and LoRA adapters merged into theirs through mergekit.

peft passes over an adapter's tensors that the model has no place for, with a warning at most;
here a merge that left a targeted tensor as it was is an error.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sae_merge_method.checkpoints import Checkpoint, TensorEntry, file_inside, open_checkpoint, read_header
from sae_merge_method.edit.plan import EditPlan
from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.folders import scratch_folder
from sae_merge_method.merge.host_calls import guarded_call
from sae_merge_method.model_ids import ModelId, local_folder, parse_model_id
from sae_merge_method.tensor_names import LayerPart, describe_layout, layer_part

LOG = logging.getLogger(__name__)

ADAPTER_FILE = "adapter_model.safetensors"
_TARGETED = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_B(?:\.\w+)?\.weight", re.ASCII)


@contextmanager
def open_donors(
    plan: EditPlan, base: Checkpoint, beside: Path, options: Mapping[str, Any]
) -> Iterator[dict[str, Checkpoint]]:
    """Yield every donor of ``plan`` as a checkpoint, by the recipe's name for it.

    Args:
        plan: The edit.
        base: The base, for messages.
        beside: Adapters are merged in a hidden sibling of this path, unless the options name
            a cache for them.
        options: Fields of ``mergekit.options.MergeOptions``.

    Raises:
        ModelError: A donor or an adapter cannot be read.
        MergeError: An adapter does not fit its model.
    """
    with ExitStack() as stack:
        donors: dict[str, Checkpoint] = {}
        for name in plan.donors:
            donor = parse_model_id(name)
            cache = options.get("transformers_cache")
            model = open_checkpoint(local_folder(donor.path, donor.revision, cache))
            if donor.lora is not None:
                places = _targeted(donor, model, cache)
                kept = options.get("lora_merge_cache") or stack.enter_context(
                    scratch_folder(beside, "adapters")
                )
                merged = _merge(name, donor, str(kept), options)
                _require_effect(plan, name, places, model, merged)
                model = merged
            donors[name] = model
        yield donors


def _merge(name: str, donor: ModelId, cache: str, options: Mapping[str, Any]) -> Checkpoint:
    from mergekit.common import ModelReference

    merged = guarded_call(
        f"merging the adapter {donor.lora} into {donor.path}",
        ModelReference.parse(name).merged,
        cache_dir=cache,
        lora_merge_dtype=options.get("lora_merge_dtype"),
    )
    return open_checkpoint(Path(merged.model.path))


def _targeted(donor: ModelId, model: Checkpoint, cache: str | None) -> dict[LayerPart, TensorEntry]:
    """The adapter's lora_B by the place it edits.

    Raises:
        ModelError: No safetensors adapter there: pickled ones are not read.
        MergeError: It edits tensors that the model does not have.
    """
    assert donor.lora is not None
    path, _, revision = donor.lora.partition("@")
    folder = local_folder(path, revision or None, cache)
    file = file_inside(folder, ADAPTER_FILE)
    if not file.exists():
        raise ModelError(
            f"expected an adapter, {ADAPTER_FILE}, in {folder}: only safetensors weights are read"
        )
    names = read_header(file)
    found: dict[LayerPart, TensorEntry] = {}
    for name, entry in names.items():
        match = _TARGETED.fullmatch(name)
        place = layer_part(f"{match['module']}.weight") if match else None
        if place is not None:
            found[place] = entry
    strangers = sorted(set(found) - set(model.layer_tensors))
    if strangers:
        inside = describe_layout(name.removeprefix("base_model.model.") for name in names)
        raise MergeError(
            f"the adapter {donor.lora} ({inside}) edits layer {strangers[0].layer}'s {strangers[0].part}, "
            f"which {donor.path} ({model.layout}) does not have"
        )
    return found


def _require_effect(
    plan: EditPlan, name: str, places: Mapping[LayerPart, TensorEntry], model: Checkpoint, merged: Checkpoint
) -> None:
    """Each targeted tensor of the plan's layers must have moved, unless the adapter says zero there."""
    wanted = {layer for layer, gifts in plan.donations.items() if any(g.model == name for g in gifts)}
    for place, lora_b in places.items():
        if place.layer not in wanted or place not in merged.layer_tensors:
            continue  # a missing tensor is found, and named, by the preflight
        before, after = model.layer_tensors[place], merged.layer_tensors[place]
        if before.dtype == after.dtype and before.sha256() == after.sha256() and not _all_zero(lora_b):
            raise MergeError(
                f"the donor {name}: merging left layer {place.layer}'s {place.part} as it was, although the "
                f"adapter edits it: its names do not fit the model's ({model.layout})"
            )


def _all_zero(entry: TensorEntry) -> bool:
    with entry.file.open("rb") as stream:
        stream.seek(entry.start)
        return not any(stream.read(entry.nbytes))
