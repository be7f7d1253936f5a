"""Energies of several tensors summed up, against sums by hand."""

import numpy as np
import pytest

from sae_merge_method.energy.tally import Tally
from sae_merge_method.geometry.realised import NOTHING, EditSums


def test_shares_are_of_all_tensors_and_chance_of_those_with_an_axis() -> None:
    tally = Tally(draws=2)
    tally.add(4.0, 16.0, EditSums(intended=4.0, realised=3.0, along=3.2, changed=5, values=8))
    tally.add_kept(4.0, np.array([3.0, 1.0, 0.5]), 0.25, EditSums(2.0, 1.0, 1.2, 2, 8))
    tally.add(6.0, 9.0, NOTHING)  # reads or writes no residual stream
    figures = tally.figures()
    assert figures["energy"] == 10.0
    assert figures["relative_norm"] == pytest.approx((10 / 25) ** 0.5)
    assert (figures["kept"], figures["chance"], figures["ratio"]) == pytest.approx((0.3, 0.1, 3.0))
    assert (figures["random"].mean, figures["random"].sd, figures["random"].p) == (0.1, 0.0, None)
    assert (figures["others"].draws, figures["others"].mean) == (2, pytest.approx(0.075))
    assert figures["stored"].share == pytest.approx(0.75)
    assert figures["stored_part"].share == pytest.approx(0.5)


def test_where_nothing_was_added_there_is_no_share_and_chance_is_the_last_tensors() -> None:
    tally = Tally(draws=0)
    assert {tally.figures()[name] for name in ("kept", "chance", "ratio", "random", "others", "stored")} == {
        None
    }
    tally.add_kept(0.0, np.zeros(1), 0.25, NOTHING)
    assert (tally.figures()["kept"], tally.figures()["chance"]) == (None, 0.25)
