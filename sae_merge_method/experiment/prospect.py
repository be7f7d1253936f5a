"""What an experiment's arms can show and will take, known before any is run.

The problems are lm-eval's, counted through its own tasks, or those of the base where it is done. What each
claim can reach with them is in the table of claims; how it is printed in :mod:`.report.planned`.
"""

import logging
import math
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.experiment_plan import ARMS_FOLDER, RESULTS_FOLDER, ExperimentPlan
from sae_merge_method.artifacts.lm_eval_results import EvalRun, read_results
from sae_merge_method.compare.tasks import choose_tasks
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.experiment.arm_models import why_out_of_reach
from sae_merge_method.experiment.metric import require_judging, require_one_way
from sae_merge_method.experiment.needs import Needs, needs_of, shape_of
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.experiment.worker import GeneralCorpus

LOG = logging.getLogger(__name__)

WORST_SD = 0.5
"""Of right and wrong answers, half of them right: no other share takes as many problems."""


class TaskAhead(NamedTuple):
    """One task, as far as it is known."""

    name: str
    problems: int
    sd: float
    """Of a problem's score: the base's own, or the worst there is."""
    tokens: int
    """The longest that an answer may be; 0 where none is generated."""


class Prospect(NamedTuple):
    """A plan, how far it is carried out, and what is ahead."""

    plan: ExperimentPlan
    done: frozenset[str]
    """Names of the arms that are done."""
    tasks: tuple[TaskAhead, ...]
    """Empty where lm-eval could not tell them, for the reason."""
    reason: str | None
    documents: int
    """Of general text; 0 without one."""
    minutes: float | None
    """Of lm-eval for one arm, the mean over those that are done; None where none is."""
    needs: Needs | None = None
    """What it takes; None where nobody has looked."""
    merged: str | None = None
    """Why arms have to be merged to the disk; None where they are edited in memory."""

    @property
    def checkpoint(self) -> int | None:
        """Bytes of one arm's merged checkpoint; None where nobody could tell."""
        return None if self.needs is None else self.needs.checkpoint

    @property
    def alpha(self) -> float:
        """Level of the tests."""
        return self.plan.alpha

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of all arms."""
        return tuple(arm.name for arm in self.plan.arms)

    @property
    def problems(self) -> int:
        """Over all tasks; 0 where they are not known."""
        return sum(task.problems for task in self.tasks)


class TasksAhead(NamedTuple):
    """All tasks, or why they are not known."""

    tasks: tuple[TaskAhead, ...]
    reason: str | None


def tasks_ahead(evaluation: EvaluationSettings, base: str, metric: str) -> TasksAhead:
    """Count problems through lm-eval's own tasks.

    Raises:
        UsageError: lm-eval knows no such task, or runs code that nobody allowed it to; or the metric runs one
            way in some of the tasks, and the other way in others.
    """
    from datasets.exceptions import DatasetsError
    from httpx import HTTPError

    try:
        harness = Harness(evaluation, base)
        require_one_way(metric, harness.directions(metric))
        sizes = harness.sizes()
    # What a data set raises that is not at hand: no file, no connection, a cache without it. All else is
    # somebody's mistake.
    except (OSError, ValueError, DatasetsError, HTTPError) as error:
        LOG.warning("lm-eval could not load its problems to count them: %s", error)
        return TasksAhead((), f"{type(error).__name__}: {error}")
    return TasksAhead(
        tuple(TaskAhead(name, size.problems, WORST_SD, size.tokens) for name, size in sizes.items()), None
    )


def look_ahead(
    folder: Path,
    plan: ExperimentPlan,
    done: frozenset[str],
    settings: ExperimentSettings,
    general: GeneralCorpus | None,
) -> Prospect:
    """Gather what is known of the arms to come.

    Args:
        folder: The experiment's.
        plan: All its arms.
        done: Names of the arms that are done.
        settings: What was asked for.
        general: The text that damage is measured on.

    Raises:
        ComparisonError: The base is done, and its tasks do not have the metric.
        UsageError: As :func:`tasks_ahead`.
    """
    runs = {name: read_results(folder / ARMS_FOLDER / name / RESULTS_FOLDER) for name in sorted(done)}
    taken = [seconds for run in runs.values() if (seconds := _seconds(run)) is not None]
    base = runs.get(plan.arms[0].name)
    ahead = (
        tasks_ahead(settings.evaluation, plan.base, plan.metric)
        if base is None
        else TasksAhead(_of_base(base, plan.metric), None)
    )
    return Prospect(
        plan,
        done,
        ahead.tasks,
        ahead.reason,
        len(general.documents) if general is not None else 0,
        sum(taken) / len(taken) / 60 if taken else None,
        needs_of(settings, shape_of(settings.base)),
        why_out_of_reach(settings.evaluation),
    )


def _seconds(run: EvalRun) -> float | None:
    """lm-eval's own clock for a run, which it writes as text; None where its file has none."""
    stated = run.raw.get("total_evaluation_time_seconds")
    if not isinstance(stated, (str, int, float)):
        return None
    try:
        seconds = float(stated)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _of_base(base: EvalRun, asked: str) -> tuple[TaskAhead, ...]:
    metric = require_judging(base, asked)
    tasks = []
    for name in choose_tasks(base, metric, ()):
        task, score = base.tasks[name], base.tasks[name].scores[metric]
        if task.n is None:
            continue
        sd = WORST_SD if score.stderr is None else score.stderr * math.sqrt(task.n)
        generation = task.generation or {}
        tokens = generation.get("max_gen_toks", 0)
        tasks.append(TaskAhead(name, task.n, sd or WORST_SD, tokens if isinstance(tokens, int) else 0))
    return tuple(tasks)
