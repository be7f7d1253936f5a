"""Weights by module: a gain and a damage that lie in the same layers are parted where no weight a layer can."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sae_merge_method.artifacts.tune import Tune, read_tune
from sae_merge_method.artifacts.tuned_edits import SearchedEdit
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit, nearest
from sae_merge_method.layers import LayerModule, units_word
from sae_merge_method.tune.attribution import Attribution, Carried
from sae_merge_method.tune.edit import Edit
from sae_merge_method.tune.families import FAMILIES, Known
from sae_merge_method.tune.run import tune
from sae_merge_method.tune.settings import TuneSettings
from tests import tiny
from tests.recipes import run_recipe
from tests.tune.planted import PARTED, Planted

ABILITY = [LayerModule(layer, "mlp") for layer in PARTED]
HARM = [LayerModule(layer, "attn") for layer in PARTED]


@pytest.fixture(scope="module")
def parted(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search by layer and by module."""
    out = tmp_path_factory.mktemp("parted") / "out"
    own = {
        "donor": str(planted.folder / "parted"),
        "target": str(planted.folder / "echoes.jsonl"),
        "families": ["learned", "damped-modules", "top-k-modules", "learned-modules"],
        "sizes": [1],
        "steps": 8,
        "finalists": 2,
        "shuffles": 0,
    }
    tune(TuneSettings.model_validate({**planted.settings, **own}), out)
    return out


@pytest.fixture(scope="module")
def found(parted: Path) -> Tune:
    return read_tune(parted)


def best(found: Tune, family: str) -> SearchedEdit:
    """Of a family, the edit that gains most within the budget."""
    within = [
        one for one in found.candidates if one.family == family and one.search.damage.delta <= found.budget
    ]
    return max(within, key=lambda one: one.search.gain.delta)


def test_a_learned_weight_a_module_parts_what_a_weight_a_layer_cannot(found: Tune) -> None:
    by_layer, by_module = best(found, "learned"), best(found, "learned-modules")
    weights = dict(zip(by_module.units, by_module.weights[0], strict=True))
    assert min(weights[unit] for unit in ABILITY) > 0.7
    assert max(weights[unit] for unit in HARM) < 0.2
    assert by_module.search.gain.delta > 2 * by_layer.search.gain.delta
    assert (units_word(by_layer.units), units_word(by_module.units)) == ("layers", "modules")


def test_the_modules_that_gain_are_told_by_the_slopes_of_all_layers_damped(found: Tune) -> None:
    assert best(found, "top-k-modules").shape == "modules 1.mlp, 2.mlp (2 of 2 adjacent)"
    shapes = {one.shape for one in found.candidates if one.family == "damped-modules"}
    assert shapes == {"attention of all layers", "MLP of all layers"}
    for layer in PARTED:
        parts = found.layers[layer].parts
        assert parts["mlp"].gain > parts["attn"].gain and parts["mlp"].damage < parts["attn"].damage
        # The donor's norms are the base's: the two parts are all of their layer.
        whole = found.layers[layer]
        assert sum(one.gain for one in parts.values()) == pytest.approx(whole.gain)
        assert sum(one.damage for one in parts.values()) == pytest.approx(whole.damage)


def test_the_recipe_of_a_winner_by_module_makes_the_very_model_that_was_measured(
    parted: Path, planted: Planted, found: Tune, tmp_path: Path
) -> None:
    weights = dict(zip(found.winner.units, found.winner.weights[0], strict=True))
    report = run_recipe((parted / "recipe.yml").read_text(), tmp_path / "merged")
    assert report.layers == tuple(unit for unit, weight in weights.items() if weight)
    assert set(ABILITY) <= set(report.layers) <= set(weights)
    written = tiny.load_tensors(tmp_path / "merged")
    base, donor = str(planted.folder / "base"), str(planted.folder / "parted")
    with open_edited(base, [donor], beside=tmp_path / "x", outside=False) as edited:
        edited.set_weights(by_unit(weights), nearest)
        assert all(tiny.same_bytes(one.parameter.detach(), written[one.name]) for one in edited.tensors)


def test_a_winner_by_module_is_held_against_its_parts_exchanged_and_the_page_names_modules(
    parted: Path, found: Tune
) -> None:
    rivals = {one.name: one for one in found.rivals}
    assert rivals["parts exchanged"].winner_is == "better"
    assert rivals["parts exchanged"].units == found.winner.units
    assert units_word(rivals["all layers damped"].units) == "layers"
    told = (parted / "tune.md").read_text()
    assert "| module | weight | gain carried | damage carried |" in told and "| 1.mlp |" in told
    assert "The winner&#x27;s weights of modules" in (parted / "tune.html").read_text()


def test_parts_that_layers_lack_are_given_no_weight() -> None:
    """Of two layers, the first has no attention: such as a state-space layer of a hybrid."""
    there = np.array([[False, True], [True, True]])
    share = Carried(np.array([[0.0, 0.1], [0.4, 0.2]]), np.zeros((2, 2)))
    of_layers = Carried(np.array([0.1, 0.6]), np.zeros(2))
    bench: Any = SimpleNamespace(n_donors=1, n_layers=2, modules=there)
    known = Known(bench, Edit.of(np.ones((1, 2))), Attribution(of_layers, share), 0.01, (1, 2), 3)
    shapes = [shape for name in ("damped-modules", "top-k-modules") for shape in FAMILIES[name].shapes(known)]
    assert [one.name for one in shapes] == [
        "attention of all layers",
        "MLP of all layers",
        "modules 1.attn, 1.mlp (2 of 2 adjacent)",
        "modules 0.mlp, 1.attn, 1.mlp (3 of 3 adjacent)",
    ]
    assert all(not one.shape[:, ~there].any() for one in shapes)
    bench.modules = there & [False, True]
    assert [one.name for one in FAMILIES["damped-modules"].shapes(known)] == ["MLP of all layers"]
    bench.modules = there & False
    families = ("damped-modules", "top-k-modules", "learned-modules")
    assert not [shape for name in families for shape in FAMILIES[name].shapes(known)]
