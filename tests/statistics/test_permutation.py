import numpy as np

from sae_merge_method.statistics.permutation import one_sided_p


def test_p_is_never_zero_and_counts_the_observed_labelling() -> None:
    assert one_sided_p(2.0, np.array([0.0, 1.0, 1.5])) == 1 / 4
    assert one_sided_p(1.0, np.array([0.0, 1.0, 1.5])) == 3 / 4


def test_a_shuffle_that_repeats_the_labels_counts_though_it_was_rounded_otherwise() -> None:
    assert one_sided_p(3.0, np.array([3.0 - 1e-10, 0.0, 0.0])) == 2 / 4
