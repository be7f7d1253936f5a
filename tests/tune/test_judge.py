"""Whether a budget of damage is shown to be kept, by all control texts together."""

import numpy as np
import pytest

from sae_merge_method.statistics.losses import RatioChange, paired_ratio
from sae_merge_method.tune.judge import kept

BUDGET, ALPHA = 0.1, 0.05


def damage(mean: float, stderr: float, texts: int = 60) -> RatioChange:
    """Of a control: in nats a token, with an error of that size and without skewness."""
    spread = np.linspace(-1, 1, texts)
    moved = mean + spread / spread.std(ddof=1) * stderr * np.sqrt(texts)
    return paired_ratio([0.0] * texts, moved.tolist(), [1] * texts)


LOW, MIDDLING, HIGH = damage(0.0, 0.01), damage(0.09, 0.05), damage(0.2, 0.01)


@pytest.mark.parametrize(
    ("damages", "verdict"),
    [
        ([LOW], "kept"),
        ([MIDDLING], "not shown"),
        ([HIGH], "exceeded"),
        ([LOW, LOW], "kept"),
        ([LOW, HIGH, MIDDLING], "exceeded"),
        ([HIGH] * 3, "exceeded"),
    ],
)
def test_all_controls_keep_a_budget_or_one_exceeds_it(damages: list[RatioChange], verdict: str) -> None:
    assert kept(damages, BUDGET, ALPHA) == kept(damages[::-1], BUDGET, ALPHA) == verdict


def test_a_budget_is_not_shown_to_be_kept_by_the_control_of_most_damage_alone() -> None:
    """What is measured worst may be known best: the other's damage may as well be above the budget."""
    worst, unsure = damage(0.05, 0.01), damage(0.04, 0.1)
    assert worst.delta > unsure.delta and kept([worst], BUDGET, ALPHA) == "kept"
    assert kept([worst, unsure], BUDGET, ALPHA) == "not shown"
    few = damage(0.0, 0.01, texts=20)  # nothing is tested with so few
    assert kept([worst, few], BUDGET, ALPHA) == "not shown"


def test_among_several_controls_one_exceeds_a_budget_by_a_corrected_p() -> None:
    above = damage(BUDGET + 2 * 0.01, 0.01)
    p = above.p_above(BUDGET)
    assert p is not None and ALPHA / 3 < p < ALPHA / 1.5
    assert kept([above], BUDGET, ALPHA) == "exceeded"
    assert kept([above, LOW, LOW], BUDGET, ALPHA) == "not shown"
