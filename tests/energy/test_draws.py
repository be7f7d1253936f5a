"""Spans to measure: the selected features', and those of others that fire as often, never the selected."""

import logging
from pathlib import Path

import numpy as np
import pytest

from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.energy import draws
from sae_merge_method.energy.draws import NORM, RATE, Spans
from sae_merge_method.recipe.subspaces import Subspaces
from tests.geometry import scenes
from tests.geometry.scenes import Scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scenes.build(tmp_path_factory.mktemp("draws"))


def spans(scene: Scene, *, n: int = 3, seed: int = 0, rank: int = 4) -> Spans:
    parameters = ScalpelParameters(diagnosis=str(scene.diagnosis), rank=rank)
    return Spans(Subspaces(parameters, (1, 3)), scene.diagnosis, n, seed)


def columns(of: Spans, layer: int) -> list[np.ndarray]:
    return of.columns(layer, np.dtype(np.float64))


def test_the_selected_span_comes_first_and_a_span_of_the_same_rank_for_every_draw(scene: Scene) -> None:
    found = spans(scene)
    selected, *others = columns(found, 1)
    assert np.array_equal(selected, found.basis(1).columns.astype(np.float64))
    assert len(others) == 3 and {one.shape for one in others} == {selected.shape} == {(found.d, 4)}
    assert found.matched_by(1) == RATE


def test_none_of_the_selected_features_is_drawn(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], draws.draw_alike
    monkeypatch.setattr(
        draws, "draw_alike", lambda *args: drawn.append((args[1], draw(*args))) or drawn[-1][1]
    )
    columns(spans(scene, n=20), 3)
    assert len(drawn) == 20
    assert all(len(others) == len(selected) == 4 for selected, others in drawn)
    assert not any(set(selected) & set(others) for selected, others in drawn)


def test_a_seed_draws_the_same_for_a_layer_whatever_else_was_drawn(scene: Scene) -> None:
    alone, after = spans(scene), spans(scene)
    columns(after, 1)
    assert all(map(np.array_equal, columns(alone, 3), columns(after, 3)))
    assert not np.array_equal(columns(alone, 3)[1], columns(spans(scene, seed=1), 3)[1])


def test_what_was_forgotten_is_drawn_the_same_again(scene: Scene) -> None:
    found = spans(scene)
    before = [columns(found, layer) for layer in (1, 3)]
    found.forget(3)
    after = [columns(found, layer) for layer in (1, 3)]
    assert after[0] is not before[0] and after[1] is before[1]
    assert all(map(np.array_equal, before[0], after[0]))


def test_where_no_usage_stands_others_are_alike_in_norm_and_that_is_said(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = spans(scene)
    found._diagnosis = tmp_path
    with caplog.at_level(logging.WARNING):
        assert found.matched_by(1) == NORM
    assert "layer 1: the diagnosis has no firing rates of this SAE; matched by norm" in caplog.text


def test_too_many_selected_features_leave_no_others(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    half = scenes.D_SAE // 2
    assert len(columns(spans(scene, rank=half), 1)) == 4
    with caplog.at_level(logging.WARNING):
        found = spans(scene, rank=half + 1)
        assert len(columns(found, 1)) == 1 and found.matched_by(1) is None
    assert f"{half + 1} of the SAE's {scenes.D_SAE} features are selected" in caplog.text


def test_no_draws_are_no_others(scene: Scene) -> None:
    found = spans(scene, n=0)
    assert len(columns(found, 1)) == 1 and found.matched_by(1) is None
