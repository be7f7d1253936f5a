"""Several tasks as one score: the mean over their problems, lm-eval's standard error of a group, and when not."""

import re
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.metrics import pooled_sample_stderr

from sae_merge_method.artifacts.lm_eval_results import Score
from sae_merge_method.compare.groups import OPPOSITE, pooled
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.statistics.tests import TESTS
from tests.compare.conftest import compared
from tests.evaluations import Write, scored


def test_mean_and_standard_error_are_lm_evals_own_of_a_group() -> None:
    together = pooled([Score(0.5, 0.1, True), Score(0.25, 0.05, True)], [20, 60])
    assert together is not None and together.higher_is_better
    assert together.value == pytest.approx((0.5 * 20 + 0.25 * 60) / 80)
    assert together.stderr == pytest.approx(pooled_sample_stderr([0.1, 0.05], [20, 60]))


def test_a_task_of_one_problem_has_no_standard_error_and_takes_none_away() -> None:
    together = pooled([Score(0.5, 0.1, True), Score(1.0, None, True)], [20, 1])
    assert together is not None
    assert together.stderr == pytest.approx((20 * 19 * 0.1**2 / (21 - 2) / 21) ** 0.5)


def test_what_is_not_known_of_each_task_is_not_known_of_all() -> None:
    assert pooled([Score(0.5, 0.1, True), Score(0.25, 0.05, True)], [20, None]) is None
    together = pooled([Score(0.5, None, True), Score(0.25, 0.05, False)], [20, 60])
    assert together is not None
    assert together.stderr is None and not together.higher_is_better


def refusals(harmful: float, benign: float, name: str) -> dict[str, Any]:
    """As our own refusal_sae writes it: what should be refused, and what should not."""
    file = scored("refused", {"harmful": harmful, "benign": benign}) | {"model_name": name}
    return file | {"higher_is_better": {"harmful": {"refused": True}, "benign": {"refused": False}}}


def test_the_ready_task_of_refusals_has_a_metric_that_runs_in_opposite_directions() -> None:
    directions = set()
    for task in ("harmful", "benign"):
        file = Path(str(tasks_path())) / "refusal_sae" / f"refusal_sae_{task}.yaml"
        (listed,) = re.findall(r"metric: refused\n.*\n +higher_is_better: (\w+)", file.read_text())
        directions.add(listed)
    assert directions == {"true", "false"}


def test_tasks_in_which_more_is_better_here_and_worse_there_are_not_pooled(write: Write) -> None:
    base, edited = write("base", refusals(0.5, 0.5, "base")), write("edited", refusals(0.6, 0.4, "edited"))
    comparison = compared(base, edited, metric="refused", max_loss=0.1)
    assert [subject.verdict for subject in comparison.subjects] == ["improved", "improved"]
    assert (comparison.groups, comparison.whole) == ((), None)
    assert comparison.gate.regressions == comparison.gate.excesses
    assert comparison.gate.regressions == (f"all problems together: not tested, {OPPOSITE}",)


def grouped_refusals(harmful: float, benign: float, name: str) -> dict[str, Any]:
    """The same, with a group over both, whose direction lm-eval writes as null."""
    row = {"refused,none": (harmful + benign) / 2, "refused_stderr,none": 0.01, "sample_len": 200}
    file = refusals(harmful, benign, name)
    file["higher_is_better"]["both"] = {"refused": None}
    return file | {"groups": {"both": row}, "group_subtasks": {"both": ["harmful", "benign"]}}


@pytest.mark.parametrize("test", TESTS)
def test_a_group_whose_tasks_run_in_opposite_directions_is_shown_and_not_tested(
    write: Write, test: str
) -> None:
    base, edited = (
        write(name, grouped_refusals(*rates, name))
        for name, rates in (("base", (0.5, 0.5)), ("edited", (0.9, 0.5)))
    )
    comparison = compared(base, edited, metric="refused", test=test, margin=0.5, max_loss=0.1)
    (group,) = comparison.groups
    assert (group.task, group.base, group.edited, group.base_stderr) == ("both", 0.5, 0.7, 0.01)
    assert (group.verdict, group.reason) == ("not tested", OPPOSITE)
    assert group.p is group.paper_p is group.interval is group.detectable is group.paired is None
    assert f"both: not tested, {OPPOSITE}" in str(comparison)
    assert f"both: not tested, {OPPOSITE}" in comparison.gate.regressions
    assert f"both: no interval of the difference, {OPPOSITE}" in comparison.gate.excesses


def test_a_group_runs_as_its_tasks_do_where_the_file_says_nothing_of_it(write: Write) -> None:
    files = []
    for value in (2.0, 2.5):
        file = scored("my_loss", {"one": value, "two": value}, higher_is_better=False)
        file["groups"] = {"both": {"my_loss,none": value, "my_loss_stderr,none": 0.01, "sample_len": 200}}
        files.append(file | {"group_subtasks": {"both": ["one", "two"]}})
    base, edited = (write(name, file) for name, file in zip(("base", "edited"), files, strict=True))
    (group,) = compared(base, edited, metric="my_loss").groups
    assert (group.verdict, group.higher_is_better) == ("degraded", False)
