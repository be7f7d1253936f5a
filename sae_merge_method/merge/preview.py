"""What a merge would change, computed in full and written nowhere."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.edit_preview import EditPreview
from sae_merge_method.artifacts.realised import layer_edit
from sae_merge_method.artifacts.recipe import AnyRecipe
from sae_merge_method.files.parallel import bytes_bar
from sae_merge_method.geometry.realised import added_up
from sae_merge_method.merge.direct import edit_tensors, why_not_direct
from sae_merge_method.merge.job import Job, open_job
from sae_merge_method.merge.tensor_edit import EditedTensor, TensorTask, tensor_tasks
from sae_merge_method.models.reading import WeightFiles


def preview(
    recipe: AnyRecipe, *, options: Mapping[str, Any] | None = None, allow_mismatch: Collection[str] = ()
) -> EditPreview:
    """Tensors, bytes and energies of each selected layer, as a merge would edit them.

    Every edited tensor is read and computed, and every check of a real merge is made, up to the last NaN.

    Args:
        recipe: A file, or what it holds.
        options: Fields of ``mergekit.options.MergeOptions``.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        SaeMergeError: What the merge itself would refuse.
    """
    with open_job(recipe, Path("dry-run").absolute(), options, allow_mismatch) as job:
        tasks = tensor_tasks(job.plan, job.base, job.donors, job.precision)
        edited = _edited(job, tasks)
        return EditPreview(
            **EditPreview.figures(added_up(one.sums for one in edited)),
            rounding=job.precision.rounding.kind,
            layers=tuple(
                layer_edit(layer, [(one.sums, one.task.nbytes) for one in edited if one.task.unit == layer])
                for layer in job.plan.layers
            ),
            kept=len(job.base.tensors) - len(tasks),
            only_mergekit=why_not_direct(job),
        )


def _edited(job: Job, tasks: Sequence[TensorTask]) -> list[EditedTensor]:
    total = sum(task.base.nbytes for task in tasks)
    with (
        bytes_bar(total, "dry run", quiet=job.quiet) as advance,
        WeightFiles(job.checkpoints) as files,
    ):
        return edit_tensors(job, tasks, files, advance)
