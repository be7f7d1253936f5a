"""The report of a merge: from what the direct engine knows already, or read back from what mergekit wrote."""

import logging
from collections.abc import Iterable, Mapping
from functools import partial

from sae_merge_method.artifacts.edit_report import EditReport, FileReport, TensorReport
from sae_merge_method.artifacts.realised import layer_edit, swallowed_note
from sae_merge_method.errors import MergeError
from sae_merge_method.files.parallel import run_all
from sae_merge_method.geometry.realised import added_up
from sae_merge_method.layers import unit_of_tensor
from sae_merge_method.merge.job import Job
from sae_merge_method.merge.tensor_edit import TensorTask, measure_tensor, tensor_tasks
from sae_merge_method.models.beside_weights import side_file_hashes
from sae_merge_method.models.checkpoint import CONFIG_FILE, Checkpoint
from sae_merge_method.models.reading import WeightFiles
from sae_merge_method.recipe.methods import Filter
from sae_merge_method.recipe.request import request_of

LOG = logging.getLogger(__name__)


def report_of(job: Job, beside: Mapping[str, str], tensors: Iterable[TensorReport]) -> EditReport:
    """The report of one merge, its tensors in the order of their names.

    Args:
        job: The edit.
        beside: Hex sha256 of the files beside its weights, by path; the config may be left out.
        tensors: What became of each tensor.
    """
    ordered = tuple(sorted(tensors, key=lambda tensor: tensor.name))
    # An edit in place hides the config, which is then the base's own.
    hashed = {CONFIG_FILE: job.base.config_sha256} | dict(beside)
    plan, base = job.plan, job.base
    edited = [tensor for tensor in ordered if tensor.status == "edited"]
    units = {tensor.name: unit_of_tensor(plan.layers, tensor.name) for tensor in edited}
    report = EditReport(
        **EditReport.figures(added_up(tensor.sums for tensor in edited)),
        rounding=job.precision.rounding.kind,
        by_layer=tuple(
            layer_edit(unit, [(one.sums, one.nbytes) for one in edited if units[one.name] == unit])
            for unit in plan.layers
        ),
        merge_method=plan.merge_method,
        base_model=plan.base,
        base_config_sha256=base.config_sha256,
        donors=plan.donors,
        layers=plan.layers,
        tensors=ordered,
        beside=tuple(FileReport(name=name, sha256=digest) for name, digest in sorted(hashed.items())),
        request=request_of(job.resolved, job.options.get("lora_merge_dtype")),
        base_dtypes=tuple(sorted({entry.dtype for entry in base.tensors.values() if entry.is_float})),
    )
    note = swallowed_note(report, report.rounding)
    if note is not None:
        LOG.warning("%s", note)
    return report


def report_read_back(job: Job, merged: Checkpoint, *, hash_all: bool = False) -> EditReport:
    """Read a merged checkpoint back, hash and measure every tensor.

    Raises:
        MergeError: A tensor was dropped or added, or one outside the selected layers does not have
            the base's bytes although it has the base's dtype.
    """
    base = job.base
    lost = sorted(set(base.tensors) - set(merged.tensors))
    added = sorted(set(merged.tensors) - set(base.tensors))
    if lost or added:
        what, names = ("lacks", lost) if lost else ("adds", added)
        raise MergeError(
            f"the merged checkpoint {what} {names[0]}"
            + (f" and {len(names) - 1} more tensors" if len(names) > 1 else "")
            + f": mergekit does not know this layout of the base model ({base.layout})"
        )
    with WeightFiles([*job.checkpoints, merged]) as files:
        tasks = {task.base.name: task for task in tensor_tasks(job.plan, base, job.donors, job.precision)}
        with job.filtering() as change:
            report = partial(_report, base, merged, files=files, change=change, hash_all=hash_all)
            calls = [partial(report, name, tasks.get(name)) for name in merged.tensors]
            return report_of(job, side_file_hashes(merged.folder), run_all(calls, job.threads))


def _report(
    base: Checkpoint,
    merged: Checkpoint,
    name: str,
    task: TensorTask | None,
    *,
    files: WeightFiles,
    change: Filter | None,
    hash_all: bool,
) -> TensorReport:
    before, after = base.tensors[name], merged.tensors[name]
    if task is not None:
        return TensorReport.of(
            after, files.hashes(after), "edited", measure_tensor(task, change, files, after)
        )
    hashes = files.hashes(after, with_sha256=hash_all)
    if after.dtype == before.dtype:
        same = files.hashes(before, with_sha256=hash_all) == hashes
        if not same or after.shape != before.shape:
            raise MergeError(f"{name} lies outside the selected layers, and yet its bytes changed")
    return TensorReport.of(after, hashes, "base")
