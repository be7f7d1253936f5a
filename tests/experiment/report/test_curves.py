"""Claims about the score: every layer's gain beside its specificity, as two curves over depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.layers import LayerModule
from sae_merge_method.reports.numbers import p_value
from tests.experiment.report.folders import BASE, PICK, Laid, collected, concluded

PREDICTS, BEYOND = "score predicts", "beyond what depth"
JAGGED = [0, 5, 1, 3, 9, 2, 7, 4, 8, 6, 11, 10, 13, 12]
"""A profile of 14 layers that no shift and no mirror image of it resembles."""
SCORES = {layer: float(value) for layer, value in enumerate(JAGGED)}


def single(gains: list[int]) -> list[Laid]:
    return [Laid(f"layer-{layer}", (30 + gain, 10), (layer,)) for layer, gain in enumerate(gains)]


def test_single_layers_are_set_against_their_own_scores(tmp_path: Path) -> None:
    arms = [Laid(f"layer-{layer}", (20 + layer, 10), (layer,)) for layer in range(8)]
    found = collected(tmp_path, [BASE, PICK, *arms]).single_layers
    assert found is not None
    assert (found.layers, found.rho, found.least_p) == (8, pytest.approx(1), 1 / 16)
    assert found.partial_rho is None  # the score is a straight line: nothing varies beside depth
    worse = [replace(arm, right=(20 - arm.layers[0], 10)) for arm in arms]
    turned = collected(tmp_path / "worse", [BASE, PICK, *worse]).single_layers
    assert turned is not None and turned.rho == pytest.approx(-1)


@pytest.mark.parametrize(("slope", "answer"), [(1, "yes"), (-1, "no"), (0, "not tested")])
def test_the_score_and_what_single_layers_gain(tmp_path: Path, slope: int, answer: str) -> None:
    arms = [BASE, PICK, *single([slope * value for value in JAGGED])]
    found = concluded(tmp_path, arms, PREDICTS, scores=SCORES, n_layers=14, alpha=0.2)
    assert found.answer == answer
    assert found.p == (None if answer == "not tested" else 1 / 28)
    assert ("circular shifts and mirror images" in found.evidence) == (answer != "not tested")


def test_what_depth_alone_explains_is_no_more_than_depth(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arch = np.array([40 - (layer - 6.5) ** 2 for layer in range(14)])
    score, gains = arch + generator.normal(0, 6, 14), (arch + generator.normal(0, 6, 14)).round()
    arms = [BASE, PICK, *single([int(gain) // 2 for gain in gains])]
    found = collected(tmp_path, arms, scores=dict(enumerate(score.tolist())), n_layers=14).single_layers
    assert found is not None and found.rho is not None and found.partial_rho is not None
    assert found.rho > 0.7 > abs(found.partial_rho)
    beyond = concluded(tmp_path / "b", arms, BEYOND, scores=dict(enumerate(score.tolist())), n_layers=14)
    assert beyond.answer == "not shown"
    # Four claims are tested: the p of 14 layers is below .05 after Holm only where it is the largest.
    floor = "no p is below 0.0357: it cannot be shown unless 3 other claims have a smaller one"
    assert beyond.evidence.endswith(f"Holm p {p_value(beyond.p_adjusted)}; {floor}")


@pytest.mark.parametrize("claim", [PREDICTS, BEYOND])
def test_four_layers_are_too_few_for_any_profile_to_be_significant(tmp_path: Path, claim: str) -> None:
    found = concluded(tmp_path, [BASE, PICK, *single([0, 5, 1, 3])], claim, scores=SCORES)
    assert found.answer == "not tested"
    if claim == PREDICTS:
        assert found.evidence.endswith("cannot be shown with so few: no p is below 0.1250")


def test_without_single_layers_the_score_is_not_tested(tmp_path: Path) -> None:
    assert "--single-layers" in concluded(tmp_path, [BASE, PICK], PREDICTS).evidence


def test_attention_of_every_layer_is_a_profile_and_attention_and_mlp_together_are_none(
    tmp_path: Path,
) -> None:
    attention = [LayerModule(layer, "attn") for layer in range(14)]
    alone = [
        Laid(f"layer-{unit.layer}", (30 + gain, 10), (unit,))
        for unit, gain in zip(attention, JAGGED, strict=True)
    ]
    scores = {unit: float(value) for unit, value in zip(attention, JAGGED, strict=True)}
    found = concluded(
        tmp_path / "attn", [BASE, PICK, *alone], PREDICTS, scores=scores, n_layers=14, alpha=0.2
    )
    assert (found.answer, found.p) == ("yes", 1 / 28)
    mixed = [
        replace(arm, layers=(LayerModule(nth, "mlp"),)) if nth % 2 else arm for nth, arm in enumerate(alone)
    ]
    scores |= {LayerModule(layer, "mlp"): 1.0 for layer in range(14)}
    assert (
        collected(tmp_path / "both", [BASE, PICK, *mixed], scores=scores, n_layers=14).single_layers is None
    )
