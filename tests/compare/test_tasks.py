"""Which tasks are compared, and by which metric."""

import pytest

from sae_merge_method.errors import ComparisonError
from tests.compare.conftest import compared
from tests.evaluations import ALGEBRA, BASE, BETTER, NUM_THEORY, Write, grouped, results


def test_a_metric_is_named_with_or_without_its_filter(write: Write) -> None:
    file = results({"gsm8k": (5, 10)})
    file["results"]["gsm8k"].update({"acc,strict": 0.1, "acc_stderr,strict": 0.1, "f1,a": 1.0, "f1,b": 1.0})
    out = write("base", file)
    assert compared(out, out, metric="acc").metric == "acc,strict"
    assert compared(out, out, metric="f1,b").metric == "f1,b"
    with pytest.raises(ComparisonError, match="several filters.*f1,a, f1,b"):
        compared(out, out, metric="f1")
    with pytest.raises(ComparisonError, match="no task .* has the metric bleu.*acc,strict"):
        compared(out, out, metric="bleu")


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        (["gsm8k"], ["gsm8k"]),
        (["minerva_*"], [ALGEBRA, NUM_THEORY]),
        (["math"], [ALGEBRA, NUM_THEORY]),
        (["gsm8k", "*_algebra"], [ALGEBRA, "gsm8k"]),
    ],
)
def test_tasks_are_chosen_by_name_pattern_or_group(write: Write, globs: list[str], names: list[str]) -> None:
    file = {**grouped({**BASE, "gsm8k": (5, 10)}), "group_subtasks": {"math": list(BASE)}}
    out = write("base", file)
    assert [subject.task for subject in compared(out, out, tasks=globs).subjects] == names


def test_a_pattern_that_fits_nothing_is_refused_with_the_tasks_there_are(write: Write) -> None:
    out = write("base", results({**BASE, "gsm8k": (5, 10)}))
    with pytest.raises(ComparisonError, match="mmlu fits no task.*gsm8k"):
        compared(out, out, tasks=["mmlu"])


def test_tasks_that_only_one_side_has_are_left_out_by_pattern_or_by_leave(write: Write) -> None:
    base = write("base", results({**BASE, "gsm8k": (5, 10)}))
    edited = write("edited", results(BETTER))
    with pytest.raises(ComparisonError, match="different tasks: .* lacks gsm8k"):
        compared(base, edited)
    assert compared(base, edited, tasks=["minerva*"]).mismatches == ()
    (mismatch,) = compared(edited, base, allow_mismatch=True).mismatches
    assert mismatch.startswith("different tasks")


def test_a_group_has_a_line_of_its_own_and_is_not_counted(write: Write) -> None:
    paths = write("base", grouped(BASE)), write("edited", grouped(BETTER))
    comparison = compared(*paths)
    (group,) = comparison.groups
    assert (group.task, group.n, group.base) == ("math", 1727, 660 / 1727)
    assert group.p is not None and group.p_adjusted == group.p
    assert sum(comparison.counts.values()) == 2
    assert compared(*paths, tasks=[NUM_THEORY]).groups == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused_as_that_and_not_as_a_missing_metric(
    write: Write, value: float
) -> None:
    good = results({ALGEBRA: (1, 3), NUM_THEORY: (1, 3)})
    broken = results({ALGEBRA: (1, 3), NUM_THEORY: (1, 3)})
    broken["results"][ALGEBRA]["exact_match,none"] = value
    paths = write("base", good), write("broken", broken)
    message = f"{ALGEBRA}: exact_match,none is {value} in .*: no score to compare"
    with pytest.raises(ComparisonError, match=message):
        compared(*paths)
    with pytest.raises(ComparisonError, match=message):
        compared(*paths, tasks=(ALGEBRA,))
    allowed = compared(*paths, allow_mismatch=True)
    assert [subject.task for subject in allowed.subjects] == [NUM_THEORY]
    assert [f"is {value}" in line for line in allowed.mismatches] == [True]
    assert compared(*paths, tasks=(NUM_THEORY,)).mismatches == ()
    only = results({ALGEBRA: (1, 3)})
    only["results"][ALGEBRA]["exact_match,none"] = value
    with pytest.raises(ComparisonError, match=message):
        compared(write("only", only), paths[0])


def test_a_metric_without_a_standard_error_is_untested_for_that_reason(write: Write) -> None:
    file = results({ALGEBRA: (1, 3)})
    file["results"][ALGEBRA]["exact_match_stderr,none"] = "N/A"
    (subject,) = compared(write("base", file), write("edited", file)).subjects
    assert subject.reason == "lm_eval wrote no standard error for base and edited"
