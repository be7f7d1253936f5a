"""Open a plan's donors: plain checkpoints, and LoRA adapters merged into theirs through mergekit.

peft passes over an adapter's tensors that the model has no place for, with a warning at most,
and may leave random ones in their place: so every merged tensor of the selected layers is held
against B A, multiplied here.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.files.scratch import scratch_folder
from sae_merge_method.hosts.calls import guarded_call
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.headers import TensorEntry, read_header
from sae_merge_method.models.hub import ModelId, local_folder, parse_model_id
from sae_merge_method.models.reading import read_tensor
from sae_merge_method.models.shards import file_inside
from sae_merge_method.models.tensor_names import LayerPart, describe_layout, layer_part
from sae_merge_method.recipe.plan import EditPlan

ADAPTER_FILE = "adapter_model.safetensors"
_LORA = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.\w+)?\.weight", re.ASCII)
# Share of a merged change that may point elsewhere than B A, beyond what rounding to the dtype explains.
_ASTRAY = 0.02
_ROUNDING = {"F64": 1e-6, "F32": 1e-6, "F16": 2.0**-11, "BF16": 2.0**-8}


class Factors(NamedTuple):
    """An adapter's two factors for one tensor."""

    a: TensorEntry
    b: TensorEntry


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
            model = open_checkpoint(local_folder(donor, cache))
            model.require_agreement()
            if donor.adapter is not None:
                factors = _factors(donor, model, cache)
                kept = options.get("lora_merge_cache") or stack.enter_context(
                    scratch_folder(beside, "adapters")
                )
                merged = _merge(name, donor, str(kept), options)
                _require_effect(plan, name, factors, model, merged)
                model = merged
            donors[name] = model
        yield donors


def _merge(name: str, donor: ModelId, cache: str, options: Mapping[str, Any]) -> Checkpoint:
    from mergekit.common import ModelReference

    merged = guarded_call(
        f"merging the adapter {donor.adapter} into {donor.path}",
        ModelReference.parse(name).merged,
        cache_dir=cache,
        lora_merge_dtype=options.get("lora_merge_dtype"),
    )
    return open_checkpoint(Path(merged.model.path))


def _factors(donor: ModelId, model: Checkpoint, cache: str | None) -> dict[LayerPart, Factors]:
    """The adapter's factors by the part of the model that they edit.

    Raises:
        ModelError: No safetensors adapter there: pickled ones are not read.
        MergeError: Not a plain LoRA of decoder layers, or of layers that the model does not have.
    """
    assert donor.adapter is not None
    folder = local_folder(donor.adapter, cache)
    file = file_inside(folder, ADAPTER_FILE)
    if not file.exists():
        raise ModelError(f"expected {ADAPTER_FILE} in {folder}: only safetensors weights are read")
    names = read_header(file)
    sides: dict[str, dict[LayerPart, TensorEntry]] = {"A": {}, "B": {}}
    for name, entry in names.items():
        match = _LORA.fullmatch(name)
        key = layer_part(f"{match['module']}.weight") if match else None
        if match and key is not None:
            sides[match["side"]][key] = entry
    factors = {key: Factors(sides["A"][key], b) for key, b in sides["B"].items() if key in sides["A"]}
    if not factors or any("lora_magnitude" in name for name in names):
        raise MergeError(
            f"expected a plain LoRA of decoder layers in {file}: merge any other adapter into its model "
            "with peft, and name the merged folder"
        )
    strangers = sorted(set(factors) - set(model.layer_tensors))
    if strangers:
        inside = describe_layout(name.removeprefix("base_model.model.") for name in names)
        raise MergeError(
            f"the adapter {donor.adapter} ({inside}) edits layer {strangers[0].layer}'s {strangers[0].part}, "
            f"which {donor.path} ({model.layout}) does not have"
        )
    return factors


def _require_effect(
    plan: EditPlan, name: str, factors: Mapping[LayerPart, Factors], model: Checkpoint, merged: Checkpoint
) -> None:
    """Each targeted tensor of the plan's layers must have moved along B A, and not elsewhere."""
    wanted = {layer for layer, donors in plan.donations.items() if any(one.model == name for one in donors)}
    for key, its_factors in factors.items():
        if key.layer not in wanted or key not in merged.layer_tensors:
            continue  # a missing tensor is found, and named, by the preflight
        if not _moved_along(its_factors, model.layer_tensors[key], merged.layer_tensors[key]):
            raise MergeError(
                f"the donor {name}: layer {key.layer}'s {key.part} was not merged as the adapter says: "
                f"its names do not fit the model's ({model.layout})"
            )


def _moved_along(factors: Factors, before: TensorEntry, after: TensorEntry) -> bool:
    product = read_tensor(factors.b) @ read_tensor(factors.a)
    old = read_tensor(before)
    moved = read_tensor(after) - old
    rounding = 2 * _ROUNDING.get(after.dtype, 0.0) * float(np.linalg.norm(old))
    size = float(np.linalg.norm(product))
    for direction in (product, product.T):  # the transpose where the model stores it so, as GPT-2 does
        if direction.shape != moved.shape:
            continue
        along = float(np.vdot(direction, moved)) / size**2 if size else 0.0
        astray = float(np.linalg.norm(moved - along * direction))
        if astray <= rounding + _ASTRAY * float(np.linalg.norm(moved)):
            # Not having moved at all is right only where there was nothing to add, or too little to see.
            return bool(along) or size <= rounding
    return False
