"""From two evaluations to a comparison: choose the tasks, check them, test them, judge."""

from collections import Counter

from sae_merge_method.artifacts.comparison import Comparison, Side, Subject, Verdict
from sae_merge_method.artifacts.lm_eval_results import EvalRun, Score, TaskRun
from sae_merge_method.compare.checks import mismatches, unchecked
from sae_merge_method.compare.subjects import common_tasks, resolve_metric
from sae_merge_method.compare.ztest import ZTest, z_unpooled
from sae_merge_method.errors import ComparisonError


def compare_runs(base: EvalRun, edited: EvalRun, metric: str, alpha: float) -> Comparison:
    """Compare an edited model with its base, task by task.

    Args:
        base: Run of the base model.
        edited: Run of the edited model.
        metric: lm-eval's key, or its part before the comma.
        alpha: Level of the two-sided test.

    Raises:
        ComparisonError: The runs differ in more than the model, and in what.
    """
    metric = resolve_metric(base, metric)
    tasks = common_tasks(base, edited, metric)
    if found := mismatches(base, edited, tasks):
        raise ComparisonError("these runs differ in more than the model:\n  " + "\n  ".join(found))
    subjects = tuple(_subject(base.tasks[task], edited.tasks[task], metric, alpha) for task in tasks)
    counts = Counter(subject.verdict for subject in subjects)
    return Comparison(
        base=_side(base),
        edited=_side(edited),
        metric=metric,
        test="lm_eval",
        alpha=alpha,
        subjects=subjects,
        improved=counts["improved"],
        degraded=counts["degraded"],
        unchanged=counts["unchanged"],
        untested=counts["untested"],
        notes=tuple(unchecked(base, edited, tasks)),
    )


def judge(test: ZTest, delta: float, alpha: float, *, higher_is_better: bool) -> Verdict:
    """What a test says, in a word."""
    if test.p is None:
        return "untested"
    if test.p >= alpha:
        return "unchanged"
    return "improved" if (delta > 0) == higher_is_better else "degraded"


def _subject(base: TaskRun, edited: TaskRun, metric: str, alpha: float) -> Subject:
    one, other = base.scores[metric], edited.scores[metric]
    test = z_unpooled(one.value, one.stderr, other.value, other.stderr, _fewest(base, edited))
    delta = other.value - one.value
    return Subject(
        task=base.name,
        n=base.n,
        base=one.value,
        edited=other.value,
        delta=delta,
        z=test.z,
        p=test.p,
        verdict=judge(test, delta, alpha, higher_is_better=_higher_is_better(one, other)),
        reason=test.reason,
        base_stderr=one.stderr,
        edited_stderr=other.stderr,
    )


def _fewest(base: TaskRun, edited: TaskRun) -> int | None:
    counts = [task.n for task in (base, edited) if task.n is not None]
    return min(counts) if counts else None


def _higher_is_better(base: Score, edited: Score) -> bool:
    return base.higher_is_better and edited.higher_is_better


def _side(run: EvalRun) -> Side:
    return Side(model=run.model, results=run.path.name, lm_eval_version=run.lm_eval_version)
