"""The tensors that an edit changes: where each lies in base and donors, and with which factors."""

from dataclasses import dataclass

from sae_merge_method.checkpoints import Checkpoint, TensorEntry
from sae_merge_method.edit.plan import EditPlan
from sae_merge_method.tensor_names import LayerPart


@dataclass(frozen=True)
class TensorTask:
    """One tensor of an open layer, its donors', and their factors."""

    place: LayerPart
    base: TensorEntry
    donors: tuple[TensorEntry, ...]
    alphas: tuple[float, ...]


def tensor_tasks(plan: EditPlan, base: Checkpoint, donors: dict[str, Checkpoint]) -> tuple[TensorTask, ...]:
    """One task for each tensor of the open layers, in the order of their places in the files."""
    tasks = []
    for place, entry in base.layer_tensors.items():
        gifts = plan.donations.get(place.layer, ())
        if gifts:
            theirs = tuple(donors[gift.model].layer_tensors[place] for gift in gifts)
            alphas = tuple(gift.alpha(entry.name) for gift in gifts)
            tasks.append(TensorTask(place, entry, theirs, alphas))
    return tuple(sorted(tasks, key=lambda task: (task.base.file, task.base.start)))
