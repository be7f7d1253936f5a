"""All tasks as one score: the mean over their problems, and the standard error that lm-eval gives to a group."""

import pytest
from lm_eval.api.metrics import pooled_sample_stderr

from sae_merge_method.artifacts.lm_eval_results import Score
from sae_merge_method.compare.groups import pooled


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
