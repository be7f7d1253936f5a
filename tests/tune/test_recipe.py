"""The winner's recipe: one weight a layer, the same bytes through every door and in memory."""

from pathlib import Path

import pytest
import torch
import yaml

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.artifacts.tuned_edits import Change, Effect, Winner
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit, nearest, stochastic
from sae_merge_method.layers import LayerModule, Unit
from sae_merge_method.models.rounding import Rounding
from sae_merge_method.recipe.resolved import open_recipe
from sae_merge_method.tune.recipe import recipe_of
from tests import tiny
from tests.in_memory.models import llama, near
from tests.mergekit import plain_mergekit
from tests.recipes import run_recipe

LAYERS = (0, 1, 2)
WEIGHTS = ((0.5, 0.0, 1.1234), (0.25, 0.0, 0.0))
MODULES = tuple(LayerModule(layer, part) for layer in LAYERS for part in ("attn", "mlp"))
BY_MODULE = ((0.5, 0.25, 0.0, 0.0, 0.0, 1.1234), (0.3, 0.0, 0.0, 0.0, 0.0, 0.2))
EFFECT = Effect(
    gain=Change(delta=0.5, interval=None),
    damage=Change(delta=0.01, interval=None),
    control="prose\n# evil: 1",
    task=None,
    guard=None,
)


def winner(weights: tuple[tuple[float, ...], ...], units: tuple[Unit, ...] = LAYERS) -> Winner:
    return Winner(
        family="learned", shape="30 steps", units=units, weights=weights, scaled=1.0, search=EFFECT, choice=EFFECT, report=EFFECT,
        curse=0.0, budget="kept", points=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    llama(folder / "base", dtype="bfloat16")
    near(folder / "base", folder / "donor", 0.02)
    near(folder / "base", folder / "other", 0.02, seed=2)
    return folder


@pytest.mark.parametrize("rounding", [Rounding(), Rounding("stochastic", 3)], ids=str)
@pytest.mark.parametrize("n_donors", [1, 2])
@pytest.mark.parametrize(
    ("units", "weights"), [(LAYERS, WEIGHTS), (MODULES, BY_MODULE)], ids=["layers", "modules"]
)
def test_what_was_measured_is_what_is_written_through_every_door(
    folder: Path,
    tmp_path: Path,
    rounding: Rounding,
    n_donors: int,
    units: tuple[Unit, ...],
    weights: tuple[tuple[float, ...], ...],
) -> None:
    donors, weights = [str(folder / name) for name in ("donor", "other")[:n_donors]], weights[:n_donors]
    text = recipe_of(winner(weights, units), str(folder / "base"), donors, 0.02, rounding)
    run_recipe(text, tmp_path / "ours")
    ours, stock = tiny.load_tensors(tmp_path / "ours"), plain_mergekit(text, tmp_path / "stock")
    assert all(tiny.same_bytes(ours[name], stock[name]) for name in stock)
    rounded = stochastic(rounding.seed) if rounding.unbiased else nearest
    # Computing in float32, as a search does, on what bfloat16 files will hold.
    with open_edited(
        str(folder / "base"), donors, beside=tmp_path / "x", dtype="float32", outside=False
    ) as edited:
        edited.set_weights(by_unit(*(dict(zip(units, row, strict=True)) for row in weights)), rounded)
        for one in edited.tensors:
            assert one.parameter.detach().equal(ours[one.name].float()), one.name
    assert "mergekit-yaml THIS_FILE out/" in text


def test_a_base_of_several_dtypes_has_a_recipe_that_merges(tmp_path: Path) -> None:
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16, change=tiny.wide_norms)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.bfloat16)
    text = recipe_of(winner(WEIGHTS[:1]), str(base), [str(donor)], 0.02)
    run_recipe(text, tmp_path / "out")
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    assert {name: tensor.dtype for name, tensor in after.items()} == {
        name: tensor.dtype for name, tensor in before.items()
    }


def test_layers_without_weight_are_closed_and_weights_are_the_plans(folder: Path) -> None:
    text = recipe_of(winner(WEIGHTS[:1]), str(folder / "base"), [str(folder / "donor")], 0.02)
    plan = open_recipe(RecipeText(text, "recipe.yml")).plan
    assert plan.layers == (0, 2)
    assert [plan.donations[layer][0].alpha("any") for layer in plan.layers] == [0.5, 1.1234]
    assert yaml.safe_load(text)["sae_tune"]["control"] == "prose\n# evil: 1"
