"""Scores of layers against what layers do alone: planted profiles come out as they were planted."""

import pytest

from tests.trials.laid import lay_out_trial
from trials.report.layers import alike, alike_grid, own_damage, own_gain, ranked, ranks_grid
from trials.report.read import read_findings


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    folder = lay_out_trial(tmp_path_factory.mktemp("trial"))
    return read_findings(folder.root, "tiny")


def test_a_score_that_is_the_gain_itself_ranks_as_it(findings):
    table = ranked(findings, own_gain, damage=False)
    assert table["first_order_gain"]["sums-0"].rho == pytest.approx(1)
    # Eight layers have sixteen images: the least p is above .05, and nothing can be shown.
    assert table["first_order_gain"]["sums-0"].is_shown is False
    assert table["kl_bits"]["sums-0"].rho == pytest.approx(-table["js_bits"]["sums-0"].rho)


def test_what_depth_tells_is_left_of_nothing_given_depth(findings):
    table = ranked(findings, own_gain, damage=False)
    assert table["depth"]["sums-0"].given_depth.rho is None
    assert table["depth"]["sums-0"].is_shown is False


def test_damage_has_its_own_predictors(findings):
    table = ranked(findings, own_damage, damage=True)
    assert table["first_order_damage"]["words-0"].rho == pytest.approx(1)
    assert "first_order_damage" not in ranked(findings, own_gain, damage=False)


def test_a_score_that_is_the_same_for_two_abilities_is_blind(findings):
    table = alike(findings)
    assert table["kl_bits"].abilities == pytest.approx((1.0,))
    assert table["a layer's own gain"].abilities == pytest.approx((1.0,))
    assert table["kl_bits"].seeds == ()


def test_the_tables_have_a_row_for_every_score_and_a_column_for_every_donor(findings):
    grid = ranks_grid(ranked(findings, own_gain, damage=False), ["sums-0", "words-0"])
    assert grid.header[:3] == ("score", "sums-0", "words-0")
    assert {row[0].text for row in grid.rows} >= {"kl_bits", "first_order_gain", "depth"}
    first = next(row for row in grid.rows if row[0].text == "first_order_gain")
    assert first[1].text == "+1.00 (+1.00)"
    assert first[1].strong is False
    assert first[-1].text == "0 of 2"
    assert len(alike_grid(alike(findings)).marked) == 2
