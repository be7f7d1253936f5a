"""The model that an arm is, in memory as lm-eval holds it: the base edited, or one loaded for it alone.

Where the backend's weights lie in this process, the base is loaded once, and one arm after another is
edited into it: the bytes that a merge would write go into the tensors of the selected layers, and the
base's own come back after the evaluation. The numbers are those of the merged checkpoint, and so is the
name that lm-eval's record has for it. What cannot be done so is merged to the disk and loaded anew, and the
log says why. One model is in memory at a time.
"""

import contextlib
import copy
import logging
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, write_edit_report
from sae_merge_method.artifacts.experiment_plan import RECIPE_FILE, RESULTS_FOLDER
from sae_merge_method.errors import ModelError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import BACKENDS, EvaluationSettings
from sae_merge_method.in_memory.stored_states import Forward, StoredStates
from sae_merge_method.in_memory.swapped_layers import SwappedLayers
from sae_merge_method.layers import layer_of
from sae_merge_method.merge.direct import edit_in_memory, why_not_direct
from sae_merge_method.merge.job import open_job
from sae_merge_method.merge.run import merge
from sae_merge_method.merge.settings import MergeSettings
from sae_merge_method.merge.tensor_edit import tensor_tasks
from sae_merge_method.models.hub import ModelId, open_model

if TYPE_CHECKING:
    import torch
    from lm_eval.api.model import TemplateLM

LOG = logging.getLogger(__name__)

MERGED_FOLDER = "merged"
_QUIET = {"quiet": True}


class ArmModel(NamedTuple):
    """A model to evaluate."""

    lm: "TemplateLM"
    name: str | ModelId
    """What it was loaded by, or would be if it were on the disk."""
    report: EditReport | None
    """Of its merge; None where a model is evaluated as it is."""


class _Held(NamedTuple):
    """The base, loaded."""

    lm: Any
    layers: SwappedLayers
    states: StoredStates


class ArmModels:
    """Brings one arm's model after another into memory."""

    def __init__(
        self,
        harness: Harness,
        evaluation: EvaluationSettings,
        base: str,
        experiment: Path,
        *,
        keep: bool,
        allow_mismatch: Collection[str],
        workers: int = 1,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            harness: lm-eval.
            evaluation: How it is called.
            base: The model that all arms are edits of.
            experiment: The experiment's folder.
            keep: Whether merged checkpoints are wanted, and stay after their evaluation.
            allow_mismatch: Keys of config.json in which base and donor may differ.
            workers: Processes that share the machine's memory and disk.
        """
        self._harness = harness
        self._base = base
        self._merged = experiment / MERGED_FOLDER
        self._keep = keep
        self._allow_mismatch = allow_mismatch
        self._workers = workers
        self._held: _Held | None = None
        self._why_merged = "merged checkpoints are to be kept" if keep else why_out_of_reach(evaluation)
        self._out_of_reach: set[str] = set()
        if self._why_merged is not None:
            LOG.info("arms are merged to the disk: %s", self._why_merged)

    @contextmanager
    def open(self, arm: str, model: str | None, folder: Path) -> Iterator[ArmModel]:
        """Yield an arm's model.

        Args:
            arm: The arm's name.
            model: A model that is evaluated as it is; None where the recipe in the arm's folder says what is.
            folder: The arm's; its edit report is written there.

        Raises:
            SaeMergeError: The recipe cannot be merged, or the base in memory did not come back as it was.
        """
        with ExitStack() as stack:
            if model is not None:
                yield self._as_it_is(stack, model)
            else:
                merged = self._merged / arm
                edited = None if self._why_merged else self._edited(stack, folder, merged)
                yield edited or self._on_the_disk(stack, folder, merged)

    def _as_it_is(self, stack: ExitStack, model: str) -> ArmModel:
        held = self._hold() if model == self._base and not self._why_merged else None
        if held is not None:
            stack.enter_context(held.layers.swapped(()))
            return ArmModel(_renewed(held), model, None)
        self._held = None
        return ArmModel(self._harness.load(model), model, None)

    def _edited(self, stack: ExitStack, folder: Path, merged: Path) -> ArmModel | None:
        """The base in memory, edited until ``stack`` ends; None where the arm has to be merged instead."""
        recipe, beside = folder / RECIPE_FILE, folder / RESULTS_FOLDER
        with open_job(recipe, beside, _QUIET, self._allow_mismatch) as job, ExitStack() as mine:
            tasks = tensor_tasks(job.plan, job.base, job.donors, job.precision)
            names = [task.base.name for task in tasks]
            known = sorted(self._out_of_reach.intersection(names))
            why = why_not_direct(job) or (_in_another_form(known[0]) if known else None)
            held = self._hold() if why is None else None
            if held is not None and not held.layers.is_of(job.base):
                why = f"its recipe's base is not {self._base} as it was loaded"
            elif held is not None:
                first = min((layer_of(task.unit) for task in tasks if any(task.alphas)), default=0)
                mine.enter_context(held.states.beginning_at(first, held.lm._model_call))
                into = mine.enter_context(held.layers.swapped(names))
                report = edit_in_memory(job, tasks, into, held.layers.hashes)
                lost = held.layers.lost(report.edited())
                if not lost:
                    write_edit_report(folder, report)
                    stack.push(mine.pop_all())
                    # As a relative folder is called that is there.
                    name = str(merged) if str(merged)[0] in "./~" else f"./{merged}"
                    lm = _renewed(held, pretrained=name, revision="main")
                    return ArmModel(lm, ModelId(name), report)
                self._out_of_reach.update(lost)
                why = _in_another_form(lost[0])
        LOG.info("%s is merged to the disk: %s", merged.name, why or self._why_merged)
        return None

    def _on_the_disk(self, stack: ExitStack, folder: Path, merged: Path) -> ArmModel:
        self._held = None
        # Not synced: after a crash of the machine the merge is done again.
        report = merge(
            folder / RECIPE_FILE,
            merged,
            MergeSettings(sync=False),
            overwrite=True,
            options=_QUIET,
            allow_mismatch=self._allow_mismatch,
        )
        stack.callback(self._tidy, merged)
        shutil.copyfile(merged / REPORT_FILE, folder / REPORT_FILE)
        return ArmModel(self._harness.load(str(merged)), str(merged), report)

    def _tidy(self, merged: Path) -> None:
        if not self._keep:
            shutil.rmtree(merged, ignore_errors=True)
            with contextlib.suppress(OSError):  # others are still in it
                merged.parent.rmdir()

    def _hold(self) -> _Held | None:
        """The base, loaded; None where it turns out that its layers cannot be told in memory."""
        if self._held is not None and self._held.layers.is_intact:
            return self._held
        self._held = None
        checkpoint = open_model(self._base)
        lm: Any = self._harness.load(self._base)
        try:
            layers = SwappedLayers(lm.model, checkpoint)
            states = StoredStates(layers.decoder, layers.blocks, self._merged.parent, self._workers)
            self._held = _Held(lm, layers, states)
        except ModelError as error:
            self._why_merged = str(error)
        return self._held


def why_out_of_reach(evaluation: EvaluationSettings) -> str | None:
    """Why weights cannot be changed in memory, in words; None where they can."""
    alone = BACKENDS[evaluation.model].casting_alone
    if not alone:
        return f"{evaluation.model} holds weights out of this process' reach"
    others = sorted(evaluation.model_args.keys() - alone)
    return f"{others[0]} may change how {evaluation.model} holds weights" if others else None


def _in_another_form(name: str) -> str:
    return f"the loaded model keeps {name} in another form than its file, and the edit changes it"


def _renewed(held: _Held, **named: str) -> Any:
    """lm-eval's model as if it had just been loaded, around the same weights and what is kept of passes."""
    fresh = copy.copy(held.lm)
    fresh.batch_sizes = {}
    fresh._model_call = partial(_through, held.states, fresh._model_call)
    for name, value in named.items():
        setattr(fresh, name, value)
    return fresh


def _through(states: StoredStates, forward: Forward, ids: "torch.Tensor") -> "torch.Tensor":
    """A pass from what is kept; lm-eval's probe for a batch size, one token over and over, is not kept."""
    is_probe = ids.numel() > 1 and bool((ids == ids[0, 0]).all())
    return forward(ids) if is_probe else states.run(forward, ids)
