"""Read a merged checkpoint back and hold it against its base: what was edited, and that nothing else was."""

from sae_merge_method.artifacts.edit_report import EditReport, TensorReport
from sae_merge_method.checkpoints import Checkpoint, TensorEntry
from sae_merge_method.edit.plan import EditPlan
from sae_merge_method.errors import MergeError
from sae_merge_method.tensor_names import decoder_layer


def report_edit(plan: EditPlan, base: Checkpoint, merged: Checkpoint) -> EditReport:
    """Hash and measure every written tensor.

    Raises:
        MergeError: A tensor was dropped or added, or one outside the open layers does not have
            the base's bytes although it has the base's dtype.
    """
    lost = sorted(set(base.tensors) - set(merged.tensors))
    added = sorted(set(merged.tensors) - set(base.tensors))
    if lost or added:
        what, names = ("lacks", lost) if lost else ("adds", added)
        raise MergeError(
            f"the merged checkpoint {what} {names[0]}"
            + (f" and {len(names) - 1} more tensors" if len(names) > 1 else "")
            + ": mergekit does not know this layout of the base model"
        )
    tensors = tuple(
        _report_tensor(plan, base.tensors[name], merged.tensors[name]) for name in sorted(merged.tensors)
    )
    return EditReport(
        merge_method=plan.merge_method,
        base_model=plan.base,
        base_config_sha256=base.config_sha256,
        donors=plan.donors,
        layers=plan.layers,
        energy=sum(tensor.energy for tensor in tensors),
        tensors=tensors,
    )


def _report_tensor(plan: EditPlan, before: TensorEntry, after: TensorEntry) -> TensorReport:
    layer = decoder_layer(after.name)
    is_open = layer in plan.donations
    digest = after.sha256()
    if not is_open and after.dtype == before.dtype and digest != before.sha256():
        raise MergeError(f"{after.name} lies outside the selected layers, and yet its bytes changed")
    return TensorReport(
        name=after.name,
        layer=layer,
        status="edited" if is_open else "base",
        dtype=after.dtype,
        shape=after.shape,
        sha256=digest,
        energy=_squared_distance(before, after) if is_open else 0.0,
    )


def _squared_distance(before: TensorEntry, after: TensorEntry) -> float:
    import torch
    from safetensors import safe_open

    with safe_open(before.file, framework="pt") as old, safe_open(after.file, framework="pt") as new:
        moved = new.get_tensor(after.name).to(torch.float32) - old.get_tensor(before.name).to(torch.float32)
    return float(moved.square().sum(dtype=torch.float64))
