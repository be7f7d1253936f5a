"""Corrections for several tests, against statsmodels and by hand."""

import gc
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from click.testing import CliRunner
from statsmodels.stats.multitest import multipletests

from sae_merge_method.cli.main import road
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.publish.measured import verdict_section
from sae_merge_method.statistics.multiplicity import (
    CORRECTIONS,
    Correction,
    adjusted,
    benjamini_hochberg,
    holm,
)
from tests.evaluations import BASE, BETTER, Write, results

METHODS = {"holm": "holm", "bh": "fdr_bh"}


@pytest.fixture(scope="module", autouse=True)
def few_objects_to_look_through() -> None:
    """statsmodels collects garbage whenever it corrects by Holm: in the hosts' libraries there is none."""
    gc.freeze()


@pytest.mark.parametrize(
    "p_values", [[0.01, 0.04, 0.03, 0.5], [0.9, 0.001, 0.001, 0.05, 0.2, 0.7, 0.02], [0.3], [], [0.6] * 3]
)
@pytest.mark.parametrize("name", METHODS)
def test_corrections_agree_with_statsmodels(name: str, p_values: list[float]) -> None:
    expected = list(multipletests(p_values, method=METHODS[name])[1]) if p_values else []
    assert CORRECTIONS[name].adjust(p_values) == pytest.approx(expected)


def test_by_hand() -> None:
    assert holm([0.01, 0.5, 0.02]) == pytest.approx([0.03, 0.5, 0.04])
    assert benjamini_hochberg([0.01, 0.5, 0.02]) == pytest.approx([0.03, 0.5, 0.03])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_what_was_not_tested_takes_no_part_and_leaves_the_others_their_places(
    adjust: Callable[[Sequence[float]], list[float]],
) -> None:
    first, second, third = adjust([0.5, 0.01, 0.02])
    assert adjusted([None, 0.5, 0.01, None, 0.02, None], adjust) == [None, first, second, None, third, None]
    assert adjusted([None, None], adjust) == [None, None] and adjusted([], adjust) == []


def test_tests_are_corrected_by_holm_unless_told() -> None:
    assert adjusted([0.01, None, 0.02]) == pytest.approx([0.02, None, 0.02])


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_correction_never_lowers_a_p_nor_reorders_them(name: str) -> None:
    draw = random.Random(1)
    p_values = sorted(draw.random() ** 3 for _ in range(30))
    adjusted = CORRECTIONS[name].adjust(p_values)
    assert all(0 <= raw <= corrected <= 1 for raw, corrected in zip(p_values, adjusted, strict=True))
    assert all(low <= high for low, high in pairwise(adjusted))


def test_no_correction_leaves_every_p_as_it_is() -> None:
    assert CORRECTIONS["none"].adjust([0.5, 0.01]) == [0.5, 0.01]
    assert CORRECTIONS["none"].label == ""


def test_a_new_correction_is_in_help_in_compares_output_and_in_the_model_card(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    bonferroni = Correction(
        "bonferroni",
        "Bonferroni",
        "the chance of any false alarm",
        "Bonferroni 1936",
        lambda p_values: [min(1.0, len(p_values) * p) for p in p_values],
    )
    monkeypatch.setitem(CORRECTIONS, "bonferroni", bonferroni)
    words = " ".join(CliRunner().invoke(road, ["compare", "--help"]).output.split())
    assert "bonferroni bounds the chance of any false alarm (Bonferroni 1936)" in words
    paths = write("base", results(BASE)), write("edited", results(BETTER))
    compared = compare(*paths, settings=CompareSettings(correction="bonferroni"))
    assert "p Bonferroni" in str(compared)
    assert "| p Bonferroni |" in verdict_section(compared.comparisons[0])
