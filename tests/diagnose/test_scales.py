"""Which tokens of a layer are outliers, by the median of its own tokens."""

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.diagnose.scales import LayerScale
from sae_merge_method.diagnose.usage import told_apart

NORMS = torch.tensor([500.0, 3.0, 15.0, 16.0])
MEAN = np.zeros(2, dtype=np.float32)


def residual(norms: torch.Tensor) -> torch.Tensor:
    """Tokens of these norms, none of which lies along an axis."""
    return norms[:, None] * torch.tensor([0.6, -0.8])


@pytest.mark.parametrize(("bound", "above"), [(OUTLIER_NORM, [0, 3]), (2.0, [0, 2, 3]), (200.0, [])])
def test_tokens_above_the_bound_times_the_median_do_not_count(bound: float, above: list[int]) -> None:
    rule = LayerScale(3.0, 500.0, MEAN).rule(bound)
    assert np.flatnonzero(told_apart(residual(NORMS), rule)[0]).tolist() == above
    assert rule.leaves_out


def test_without_a_bound_the_same_tokens_are_noted_and_count() -> None:
    noted, bounded = (LayerScale(3.0, 500.0, MEAN).rule(bound) for bound in (None, OUTLIER_NORM))
    assert noted == bounded._replace(leaves_out=False)


def test_the_limit_grows_with_the_layers_own_median() -> None:
    norms = torch.tensor([1.0, 2.0, 1.5, 30.0])
    for growth in (1.0, 40.0, 1600.0):
        rule = LayerScale(growth * 1.5, growth, MEAN).rule(OUTLIER_NORM)
        assert told_apart(residual(growth * norms), rule)[0].tolist() == [False, False, False, True]
        assert rule.limit == OUTLIER_NORM * growth * 1.5
