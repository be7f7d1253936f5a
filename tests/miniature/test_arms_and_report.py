"""Arms as data, and the one table: it says what the numbers say, whoever they please."""

import json
import math

import pytest

from sae_merge_method.miniature.arms import ARMS, random_layers
from sae_merge_method.miniature.checkpoints import Kept
from sae_merge_method.miniature.evaluation import Accuracy, difference
from sae_merge_method.miniature.report import Report, Row, as_json, as_markdown, as_table, conclusions

BASE = Accuracy(1400, 0.22, 0.011)


def _report(**accuracies):
    rows = []
    for arm in ARMS:
        accuracy = Accuracy(1400, accuracies.get(arm.name, 0.22), 0.011)
        rows.append(
            Row(
                arm=arm,
                layers=() if arm.edit == "none" else (1, 4, 6),
                accuracy=accuracy,
                difference=None if arm.edit == "none" else difference(BASE, accuracy),
                general_loss=1.8,
                energy=4.5,
                energy_share=0.36,
                kept=Kept(0.3, 10.0, 2 / 64) if arm.edit == "projected" else None,
            )
        )
    return Report(tuple(rows), {"diagnose": 12.3}, ("From the cache.",))


def test_arms_have_names_of_their_own_and_begin_with_the_base():
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    assert ARMS[0].edit == "none"
    assert {"stethoscope", "random", "all", "projected"} <= {arm.name for arm in ARMS}


@pytest.mark.parametrize("seed", range(20))
def test_random_layers_are_as_many_and_others(seed):
    drawn = random_layers(8, 3, other_than=(1, 4, 6), seed=seed)
    assert len(set(drawn)) == 3 and set(drawn) <= set(range(8))
    assert drawn != (1, 4, 6)
    assert drawn == random_layers(8, 3, other_than=(6, 4, 1), seed=seed)


def test_all_layers_at_random_are_all_layers():
    assert random_layers(4, 4, other_than=(0, 1, 2, 3), seed=0) == (0, 1, 2, 3)


def test_the_difference_is_the_paper_s_test_on_lm_eval_s_errors():
    # 160 and 213 of 540, as the paper's Number Theory: printed z +3.41, p 0.0007.
    def side(right):
        p = right / 540
        return Accuracy(540, p, math.sqrt(p * (1 - p) / 539))

    found = difference(side(160), side(213))
    assert f"{found.z:+.2f} {found.p:.4f}" == "+3.41 0.0007"
    assert difference(Accuracy(9, 0.0, 0.0), Accuracy(9, 0.0, 0.0)).z is None


def test_the_table_has_a_line_per_arm_and_aligned_columns():
    lines = as_table(_report(stethoscope=0.3)).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [arm.name for arm in ARMS]
    assert "accuracy" in lines[0] and "general loss" in lines[0] and "energy" in lines[0]


def test_words_follow_the_numbers_in_either_direction():
    good, bad = (conclusions(_report(stethoscope=value)) for value in (0.40, 0.10))
    assert any("stethoscope" in line and "significantly better" in line for line in good)
    assert any("stethoscope" in line and "significantly worse" in line for line in bad)
    assert any(line.startswith("projected") and "not significantly different" in line for line in good)


def test_no_numbers_make_it_claim_that_the_diagnosis_beats_chance():
    for stethoscope, drawn in ((0.9, 0.1), (0.1, 0.9), (0.3, 0.3)):
        words = " ".join(conclusions(_report(stethoscope=stethoscope, random=drawn)))
        assert "does not show that the diagnosis picks better layers than chance" in words


def test_the_chance_level_stands_beside_the_energy_kept():
    words = " ".join(conclusions(_report()))
    assert "keeps 3.0%" in words and "about 3.1%" in words


def test_json_and_markdown_hold_the_same_rows():
    report = _report(stethoscope=0.3)
    loaded = json.loads(as_json(report))
    assert [row["arm"]["name"] for row in loaded["rows"]] == [arm.name for arm in ARMS]
    assert loaded["rows"][1]["accuracy"]["value"] == 0.3
    assert loaded["seconds"] == {"diagnose": 12.3}
    markdown = as_markdown(report)
    assert all(f"| {arm.name} |" in markdown for arm in ARMS)
    assert "From the cache." in markdown
