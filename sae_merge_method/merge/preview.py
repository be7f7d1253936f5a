"""What a merge would change, computed in full and written nowhere."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sae_merge_method.files.parallel import bytes_bar, run_all
from sae_merge_method.merge.direct import why_not_direct
from sae_merge_method.merge.job import prepared
from sae_merge_method.merge.tensor_edit import EditedTensor, edit_tensor, tensor_tasks
from sae_merge_method.models.reading import WeightFiles


def preview_recipe(source: str, where: str, options: Mapping[str, Any] | None = None) -> str:
    """A table of the selected layers: tensors, bytes and energy of each, and their sums.

    Every check of a real merge is made, up to the last NaN. Where only mergekit could run the
    recipe, the energy is not known and the table says so.

    Args:
        source: The recipe's YAML text.
        where: How messages name the recipe.
        options: Fields of ``mergekit.options.MergeOptions``.

    Raises:
        SaeMergeError: What the merge itself would refuse.
    """
    with prepared(source, where, Path("dry-run").absolute(), options) as job:
        tasks = tensor_tasks(job.plan, job.base, job.donors)
        reason = why_not_direct(job)
        energies: dict[str, float] = {}
        if reason is None:
            total = sum(task.base.nbytes for task in tasks)
            with (
                bytes_bar(total, "dry run", quiet=job.quiet) as advance,
                WeightFiles([job.base, *job.donors.values()]) as files,
                job.filtering() as change,
            ):
                calls = [partial(edit_tensor, task, change, files, advance=advance) for task in tasks]
                edited: list[EditedTensor] = run_all(calls, job.threads)
            energies = {one.task.base.name: one.energy for one in edited}
        lines = [f"{'layer':>8}{'tensors':>9}{'bytes':>16}{'energy':>14}"]
        for layer in (*job.plan.layers, None):
            chosen = [task for task in tasks if layer is None or task.layer == layer]
            energy = f"{sum(energies[t.base.name] for t in chosen):14.6g}" if energies else f"{'?':>14}"
            size = sum(task.base.nbytes for task in chosen)
            lines.append(f"{'all' if layer is None else layer:>8}{len(chosen):9}{size:16,}{energy}")
        others = len(job.base.tensors) - len(tasks)
        lines.append(f"dry run: nothing was written; {others} other tensors would stay the base's")
        if reason is not None:
            lines.append(f"this recipe runs through mergekit ({reason}): its energy is known only afterwards")
    return "\n".join(lines)
