"""One checkpoint's maths accuracy, by the real ``lm_eval`` command on all seven subjects at once."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.errors import ArtifactError
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.miniature.commands import Commands
from sae_merge_method.miniature.problems import SUBJECTS

GROUP = "minerva_math_sae"
_METRIC = "exact_match,none"
_BATCH = 150


@dataclass(frozen=True)
class Accuracy:
    """Exact match over all problems, as lm-eval reports it for the group."""

    n: int
    value: float
    stderr: float


@dataclass(frozen=True)
class Difference:
    """A two-sample z-test of two accuracies."""

    delta: float
    z: float | None
    """None where neither side varies."""
    p: float | None
    """Two-sided."""


def evaluate(commands: Commands, name: str, model: str) -> None:
    """Run ``lm_eval`` on ``model`` and keep its output in ``results/<name>``, whole or not at all.

    Not done again where it stands.

    Args:
        commands: Runs in the folder that holds the data set.
        name: Arm.
        model: Checkpoint, relative to that folder.
    """
    out = Path("results", name)
    kept = commands.folder / out
    if _is_whole(kept):
        return
    shutil.rmtree(kept, ignore_errors=True)
    words = ["lm_eval", "run", "--model", "hf", "--model_args", f"pretrained=./{model}"]
    words += ["--tasks", GROUP, "--num_fewshot", "0", "--device", "cpu", "--batch_size", str(_BATCH)]
    # The tasks are found without --include_path too, but not where the start-up hook is off.
    words += ["--include_path", str(tasks_path()), "--output_path", str(out), "--log_samples"]
    try:
        commands.run(f"lm_eval {name}", words)
    except BaseException:
        shutil.rmtree(kept, ignore_errors=True)
        raise


def _is_whole(folder: Path) -> bool:
    """Whether lm_eval came to its end here: it writes the results first, then a file a subject."""
    results, samples = (list(folder.rglob(f"{kind}_*.json*")) for kind in ("results", "samples"))
    return len(results) == 1 and len(samples) == len(SUBJECTS)


def read_accuracy(folder: Path) -> Accuracy:
    """Accuracy over all subjects, from lm_eval's output folder.

    Raises:
        ArtifactError: The results have no such group, or no standard error.
    """
    run = read_results(folder)
    group = run.groups.get(GROUP)
    score = group.scores.get(_METRIC) if group else None
    if group is None or score is None or score.stderr is None:
        raise ArtifactError(f"expected {_METRIC} of {GROUP} with its standard error in {run.path}")
    n = sum(run.tasks[task].n or 0 for task in group.members if task in run.tasks)
    return Accuracy(n, score.value, score.stderr)


def difference(base: Accuracy, edited: Accuracy) -> Difference:
    """z = (p1 - p0) / sqrt(se0^2 + se1^2) with lm-eval's standard errors: the paper's test."""
    delta = edited.value - base.value
    spread = math.hypot(base.stderr, edited.stderr)
    if spread == 0.0:
        return Difference(delta, None, None)
    z = delta / spread
    return Difference(delta, z, math.erfc(abs(z) / math.sqrt(2)))
