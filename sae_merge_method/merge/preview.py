"""What a merge would change, computed in full and written nowhere."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.edit_preview import EditPreview, LayerPreview
from sae_merge_method.artifacts.recipe import AnyRecipe
from sae_merge_method.files.parallel import bytes_bar
from sae_merge_method.merge.direct import edit_tensors, why_not_direct
from sae_merge_method.merge.job import Job, open_job
from sae_merge_method.merge.tensor_edit import TensorTask, tensor_tasks
from sae_merge_method.models.reading import WeightFiles


def preview(
    recipe: AnyRecipe, *, options: Mapping[str, Any] | None = None, allow_mismatch: Collection[str] = ()
) -> EditPreview:
    """Tensors, bytes and energy of each selected layer, as a merge would edit them.

    Every check of a real merge is made, up to the last NaN. Where only mergekit could run the
    recipe, the energy is not known.

    Args:
        recipe: A file, or what it holds.
        options: Fields of ``mergekit.options.MergeOptions``.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        SaeMergeError: What the merge itself would refuse.
    """
    with open_job(recipe, Path("dry-run").absolute(), options, allow_mismatch) as job:
        tasks = tensor_tasks(job.plan, job.base, job.donors, job.precision)
        reason = why_not_direct(job)
        energies = None if reason is not None else _energies(job, tasks)
        return EditPreview(
            layers=tuple(_layer(layer, tasks, energies) for layer in job.plan.layers),
            kept=len(job.base.tensors) - len(tasks),
            only_mergekit=reason,
        )


def _energies(job: Job, tasks: Sequence[TensorTask]) -> dict[str, float]:
    """The energy of every edited tensor, by the base's name for it."""
    total = sum(task.base.nbytes for task in tasks)
    with (
        bytes_bar(total, "dry run", quiet=job.quiet) as advance,
        WeightFiles(job.checkpoints) as files,
    ):
        return {
            edited.task.base.name: edited.sums.realised for edited in edit_tensors(job, tasks, files, advance)
        }


def _layer(layer: int, tasks: Sequence[TensorTask], energies: Mapping[str, float] | None) -> LayerPreview:
    entries = [task.base for task in tasks if task.layer == layer]
    return LayerPreview(
        layer=layer,
        tensors=len(entries),
        nbytes=sum(entry.nbytes for entry in entries),
        energy=None if energies is None else sum(energies[entry.name] for entry in entries),
    )
