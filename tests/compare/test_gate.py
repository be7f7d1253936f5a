"""The gate: a loss that is everywhere, a loss that is somewhere, and what could not be looked at."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.artifacts.lm_eval_results import EvalRun, Score, TaskRun
from sae_merge_method.artifacts.lm_eval_samples import Sample, Samples
from sae_merge_method.compare.evaluation import Evaluation
from sae_merge_method.compare.gate import why_not_improved, why_stopped
from sae_merge_method.compare.run import compare_evaluations
from sae_merge_method.compare.settings import CompareSettings
from tests.compare.conftest import compared
from tests.evaluations import ALGEBRA, BASE, NUM_THEORY, Write, answers, results, scored

MATH = (1187, 474, 479, 903, 540, 871, 546)
METRIC = "exact_match,none"


@cache
def problem(task: str, nth: int, score: float) -> Sample:
    return Sample(f"{task} {nth}", None, None, score, None, True, 0)


def evaluation(label: str, scores: dict[str, list[float]], with_samples: bool = True) -> Evaluation:
    """In memory, as the readers of lm-eval's files give it."""
    tasks, samples = {}, {}
    for task, own in scores.items():
        n, value = len(own), sum(own) / len(own)
        stderr = (value * (1 - value) / (n - 1)) ** 0.5 if n > 1 else None
        tasks[task] = TaskRun(task, {METRIC: Score(value, stderr, True)}, n, n, None, None, None, None)
        rows = tuple(problem(task, nth, score) for nth, score in enumerate(own)) if with_samples else ()
        samples[task, METRIC] = Samples(Path(label), rows)
    run = EvalRun(Path(label), label, None, None, False, tasks, {})
    return Evaluation(run, label, samples)


def flipped(n: int, right: int, up: int, down: int) -> tuple[list[float], list[float]]:
    """Answers to n problems before and after: so many right before, newly right, newly wrong."""
    before = [1.0] * right + [0.0] * (n - right)
    after = [0.0] * down + [1.0] * (right - down) + [1.0] * up + [0.0] * (n - right - up)
    return before, after


def judged(
    tasks: dict[str, tuple[list[float], list[float]]], samples: bool = True, **settings: Any
) -> Comparison:
    sides = [
        evaluation(name, {task: both[nth] for task, both in tasks.items()}, samples)
        for nth, name in enumerate(("base", "edited"))
    ]
    return compare_evaluations(*sides, CompareSettings(draws=0, **settings))


def drawn(generator: np.random.Generator, n: int, loss: float) -> tuple[list[float], list[float]]:
    """30 % right before, the loss less after, correlation .6."""
    base, edited = 0.3, 0.3 - loss
    both = 0.6 * (base * (1 - base) * edited * (1 - edited)) ** 0.5 + base * edited
    kinds = generator.choice(4, size=n, p=[both, base - both, edited - both, 1 - base - edited + both])
    return [float(kind in (0, 1)) for kind in kinds], [float(kind in (0, 2)) for kind in kinds]


@pytest.mark.parametrize(("loss", "fewest", "most"), [(0.02, 10, 12), (0.0, 0, 1)])
def test_two_points_lost_in_every_subject_are_stopped_and_an_edit_of_nothing_is_not(
    loss: float, fewest: int, most: int
) -> None:
    generator = np.random.default_rng(0)
    stopped = sum(
        bool(judged({f"subject {n}": drawn(generator, n, loss) for n in MATH}).gate.regressions)
        for _ in range(12)
    )
    assert fewest <= stopped <= most


def test_a_small_loss_everywhere_is_seen_by_all_problems_together_alone() -> None:
    tasks = {f"subject {nth}": flipped(500, 200, 40, 55) for nth in range(5)}
    made = judged(tasks)
    assert made.counts["not shown"] == 5
    (line,) = made.gate.regressions
    assert line.startswith("all tasks: -3.0 points, p 0.0007 (exact McNemar test, paired by problem)")
    assert line.endswith("one-sided 0.0003, below 0.0333")
    assert made.whole is not None and made.whole.task == "all tasks"


def test_all_problems_together_stop_one_sided_where_the_table_does_not_yet_say_degraded() -> None:
    made = judged({"one": flipped(540, 200, 40, 58)})
    assert made.subjects[0].verdict == "not shown"
    assert made.subjects[0].p == pytest.approx(binomtest(40, 98).pvalue)
    assert made.gate.regressions == ()
    assert judged({"one": flipped(540, 200, 40, 60)}).subjects[0].p == pytest.approx(
        binomtest(40, 100).pvalue
    )
    assert judged({"one": flipped(540, 200, 40, 60)}).gate.regressions != ()
    # A gain as large is no loss.
    assert judged({"one": flipped(540, 200, 60, 40)}).gate.regressions == ()


def test_a_loss_in_one_subject_stops_though_all_together_gained() -> None:
    made = judged({"lost": flipped(300, 200, 2, 30), "gained": flipped(900, 300, 200, 20)})
    assert [line.partition(":")[0] for line in made.gate.regressions] == ["lost"]


@pytest.mark.parametrize("samples", [True, False])
def test_from_all_right_to_all_wrong_is_a_loss_and_not_untested(samples: bool) -> None:
    made = judged({"one": ([1.0] * 50, [0.0] * 50)}, samples)
    assert made.subjects[0].verdict == "degraded"
    assert made.subjects[0].test == ("mcnemar" if samples else "fisher")
    assert len(made.gate.regressions) == 1


@pytest.mark.parametrize("samples", [True, False])
def test_four_of_fifty_more_than_none_are_no_improvement(samples: bool) -> None:
    made = judged({"one": flipped(50, 0, 4, 0)}, samples)
    assert made.subjects[0].verdict == "not shown"
    assert made.subjects[0].paper_p is not None and made.subjects[0].paper_p < 0.05


def test_several_subjects_together_are_near_the_edge_as_one_is() -> None:
    made = judged({f"subject {nth}": flipped(50, 0, 1, 0) for nth in range(5)}, samples=False)
    (group,) = made.groups
    assert group.paper_p is not None and group.paper_p < 0.05
    assert (group.test, group.verdict) == ("fisher", "not shown")
    assert group.base_interval is not None and group.base_interval[0] == 0.0


def test_what_could_not_be_tested_stops(write: Write) -> None:
    base, edited = (
        write(name, results({**BASE, "single": (right, 1)}, model_name=name))
        for name, right in (("base", 1), ("edited", 0))
    )
    gate = compared(base, edited).gate
    assert gate.regressions == ("single: not tested, n = 1: no standard error from fewer than two problems",)
    assert compared(base, edited, max_loss=5).gate.excesses[-1] == gate.regressions[0]


def test_problems_of_unknown_number_leave_all_together_untested(write: Write) -> None:
    files = [scored("f1", {"one": score, "two": score}) for score in (0.5, 0.6)]
    for file in files:
        for row in file["results"].values():
            del row["sample_len"]
    base, edited = (write(name, file) for name, file in zip(("base", "edited"), files, strict=True))
    made = compared(base, edited, metric="f1", max_loss=1)
    assert made.whole is made.gate.whole is None
    assert "does not say how many problems" in made.gate.regressions[0]
    assert made.gate.regressions[0] == made.gate.excesses[0]


def test_an_allowed_loss_has_to_be_shown_to_be_smaller() -> None:
    few = judged({"one": flipped(200, 60, 6, 6)}, max_loss=2)
    assert few.gate.max_loss == 0.02
    (line,) = few.gate.excesses
    assert line.startswith("one: a loss of 3.") and "2.0 points is allowed (one-sided at 0.05" in line
    assert judged({"one": flipped(200, 60, 6, 6)}, max_loss=4).gate.excesses == ()
    assert judged({"one": flipped(5000, 1500, 150, 150)}, max_loss=2).gate.excesses == ()
    assert judged({"one": flipped(200, 60, 6, 6)}).gate.excesses == ()


def test_nothing_that_flips_is_no_proof_where_problems_are_few() -> None:
    assert judged({"one": flipped(20, 10, 0, 0)}, max_loss=5).gate.excesses != ()
    assert judged({"one": flipped(200, 100, 0, 0)}, max_loss=5).gate.excesses == ()


def test_a_subject_that_is_shown_to_lose_more_than_is_allowed_stops_though_all_together_do_not() -> None:
    tasks = {"lost": flipped(300, 200, 2, 60), "other": flipped(9000, 3000, 100, 60)}
    gate = judged(tasks, max_loss=2).gate
    (line,) = gate.excesses
    assert line.startswith("lost: a loss of at least 1") and line.endswith("2.0 points is allowed")


def test_of_what_should_fall_a_rise_is_the_loss(write: Write) -> None:
    base, edited = (
        write(name, scored("bits_per_byte", {"prose": value}, higher_is_better=False))
        for name, value in (("base", 0.85), ("edited", 0.95))
    )
    gate = compared(base, edited, metric="bits_per_byte", max_loss=0.05).gate
    assert gate.max_loss == 0.05
    assert gate.regressions[0].startswith("prose: +0.1, p <0.0001")
    assert [line.split(",")[0] for line in gate.excesses] == [
        "prose: a loss of 0.1233 is not ruled out",
        "prose: a loss of at least 0.07674 is shown",
    ]
    assert compared(edited, base, metric="bits_per_byte", max_loss=0.05).gate.excesses == ()


def test_reasons_name_the_model_once_and_the_nearest_improvement() -> None:
    worse = judged({"one": flipped(540, 200, 10, 60)}, max_loss=2)
    assert why_stopped([worse], on_regression=False) == [f"edited: {line}" for line in worse.gate.excesses]
    assert len(why_stopped([worse, worse], on_regression=True)) == 1 + len(worse.gate.excesses)
    still = judged({"one": flipped(540, 200, 10, 8), "two": flipped(540, 200, 12, 8)})
    (line,) = why_not_improved([still])
    assert line.startswith("edited: nothing is shown to be better after correction; the nearest is ")
    assert why_not_improved([judged({"one": flipped(540, 200, 60, 10)})]) == []


def test_a_gain_that_is_everywhere_counts_as_an_improvement() -> None:
    made = judged({f"subject {nth}": flipped(500, 200, 55, 40) for nth in range(5)})
    assert made.counts["improved"] == 0
    assert why_not_improved([made]) == []


def test_a_change_within_the_margin_is_equivalent_and_counted() -> None:
    made = judged({"one": flipped(5000, 1500, 60, 60), "two": flipped(100, 40, 5, 5)}, margin=1)
    assert made.margin == 0.01
    assert [row.verdict for row in made.subjects] == ["equivalent", "not shown"]
    assert "0 improved, 0 degraded, 1 equivalent, 1 not shown" in str(made)


def test_a_group_of_means_is_paired_by_weighing_each_task_alike(write: Write) -> None:
    def run(name: str, one: list[int], two: list[int]) -> Path:
        file = results({ALGEBRA: (sum(one), len(one)), NUM_THEORY: (sum(two), len(two))}, model_name=name)
        mean = (sum(one) / len(one) + sum(two) / len(two)) / 2
        file |= {
            "groups": {"math": {"exact_match,none": mean, "exact_match_stderr,none": 0.03}},
            "group_subtasks": {"math": [ALGEBRA, NUM_THEORY]},
        }
        samples = {
            task: [{**row, "doc_hash": f"{task} {row['doc_hash']}"} for row in answers(scores)]
            for task, scores in ((ALGEBRA, one), (NUM_THEORY, two))
        }
        return write(name, file, samples=samples)

    base = run("base", [1] * 20 + [0] * 40, [0] * 20)
    edited = run("edited", [1] * 32 + [0] * 28, [1] * 6 + [0] * 14)
    (group,) = compared(base, edited).groups
    assert (group.test, group.delta) == ("permutation", pytest.approx((12 / 60 + 6 / 20) / 2))
    assert group.paired is not None and group.paired.newly_right is None
    assert group.p is not None and group.p < 0.001
