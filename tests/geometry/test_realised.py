"""An edit is measured by what was to be added and by what is stored."""

import numpy as np
import pytest

from sae_merge_method.geometry.realised import EditSums, edit_sums


def test_an_edit_is_measured_by_what_was_to_be_added_and_by_what_was():
    before = np.array([1, 1, 1, 0], np.float32)
    tau = np.array([3, 0.5, -2, 0], np.float32)
    after = before + np.array([4, 0, -2, 0], np.float32)
    sums = edit_sums(before, tau, after, np.empty_like(after))
    assert sums == EditSums(intended=13.25, realised=20, along=16, changed=2)
    assert sums.plus(EditSums(1, 1, 1, 1, 4)) == EditSums(14.25, 21, 17, 3, 4)


def test_a_distance_beyond_float32_is_summed_in_float64():
    before, after = np.zeros(3, np.float32), np.full(3, 1e30, np.float32)
    sums = edit_sums(before, after.copy(), after, np.empty_like(after))
    assert sums[:3] == pytest.approx((3e60, 3e60, 3e60), rel=1e-6)
