"""Scores that know the donor: each by hand, with the interval of its documents."""

import numpy as np
import pytest

from sae_merge_method.artifacts.attribution_groups import TextGroups
from sae_merge_method.attribute.scores import DONOR_SCORES, DonorScoreRow, donor_scores

LAYER_OF = [0, 0, 1, 1, None]


def sums(path, first_order=None, squares=None, probes=None, tokens=(10, 10)) -> TextGroups:
    """Two layers of two tensors and one outside; two groups."""
    groups = len(tokens)
    none = np.zeros((groups, 0))

    def rows(one):
        return none if one is None else np.array(one, dtype=np.float64)

    return TextGroups(
        np.array(tokens), np.zeros(groups), rows(first_order), rows(squares), rows(path), rows(probes),
        none, none, none,
    )  # fmt: skip


def scores(name, *groups):
    found = {one.name: one for one in donor_scores(groups, LAYER_OF)}
    return [entry.score for entry in found[name].layers]


def test_the_gain_of_a_layer_is_that_of_its_tensors_a_token():
    target = sums([[1, 2, 3, 4, 100], [1, 2, 3, 4, 100]])
    assert scores("attributed_gain", target, sums([[0] * 5] * 2)) == pytest.approx([0.3, 0.7])


def test_gain_per_damage_takes_the_control_that_suffers_most_and_never_divides_by_nothing():
    target = sums([[2, 0, 2, 0, 0]] * 2)
    first, second = sums([[-4, 0, 1, 0, 0]] * 2), sums([[-1, 0, 1, 0, 0]] * 2)
    # Damages .4 and 0, .2 in the mean layer.
    assert scores("attributed_gain_per_damage", target, first, second) == pytest.approx(
        [0.2 / 0.6, 0.2 / 0.2]
    )


def test_without_any_damage_it_is_the_gain_itself():
    target, control = sums([[2, 0, 1, 0, 0]] * 2), sums([[1] * 5] * 2)
    assert scores("attributed_gain_per_damage", target, control) == pytest.approx([0.2, 0.1])


def test_fisher_is_squared_gradients_a_token_over_the_controls_largest():
    target = sums(None, squares=[[1, 1, 6, 0, 0]] * 2)
    controls = (sums(None, squares=[[1, 0, 1, 0, 0]] * 2), sums(None, squares=[[4, 0, 1, 0, 0]] * 2))
    assert scores("fisher_ratio", target, *controls) == pytest.approx([0.5, 6])


def test_the_first_order_and_a_layer_alone_are_told_where_they_were_measured():
    target = sums(None, first_order=[[1, 0, 2, 0, 0]] * 2, probes=[[5, 7]] * 2)
    control = sums(None, first_order=[[0] * 5] * 2, probes=[[0, 0]] * 2)
    found = {one.name: one for one in donor_scores((target, control), LAYER_OF)}
    assert set(found) == {"first_order_gain", "probe_gain"}
    assert [entry.score for entry in found["probe_gain"].layers] == pytest.approx([0.5, 0.7])


def test_the_interval_is_as_wide_as_groups_disagree():
    same = sums([[1, 0, 2, 0, 0]] * 4, tokens=(10,) * 4)
    apart = sums([[value, 0, 2, 0, 0] for value in (0, 1, 2, 5)], tokens=(10,) * 4)
    for target, width in ((same, 0.0), (apart, None)):
        layer = donor_scores((target, same), LAYER_OF)[0].layers[0]
        # The jackknife of a mean is its standard error: sd / sqrt(n).
        wanted = 3.1824 * np.std([0, 0.1, 0.2, 0.5], ddof=1) / 2 if width is None else width
        assert layer.high - layer.score == pytest.approx(wanted, rel=1e-3)
        assert layer.score - layer.low == pytest.approx(wanted, rel=1e-3)


def test_a_single_group_has_no_interval():
    one = sums([[1, 0, 2, 0, 0]], tokens=(10,))
    assert donor_scores((one, one), LAYER_OF)[0].layers[0].low is None


def test_a_score_that_rises_with_depth_says_so():
    rows = [[float(nth) for nth in range(6)]] * 2
    target = sums(rows)
    (gain, _) = donor_scores((target, target), list(range(6)))
    assert gain.depth.rho == pytest.approx(1)
    assert gain.depth.p >= 1 / 12


def test_a_row_is_all_that_a_score_takes(monkeypatch, attributed):
    row = DonorScoreRow("size", "how many", "tensors", "ours", ("path",), lambda target, controls: np.ones(4))
    monkeypatch.setitem(DONOR_SCORES, "size", row)
    found = donor_scores((sums([[1] * 4] * 2), sums([[1] * 4] * 2)), range(4))
    assert found[-1].name == "size"
    assert str(attributed.model_copy(update={"scores": found})).count("size: how many (tensors; ours)") == 1
