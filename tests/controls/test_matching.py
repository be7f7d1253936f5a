"""Arms that are to have another's energy have it in what is stored or are written as float32; under stochastic
rounding, whose noise counts there, they have it in what was to be added."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.controls.matching import TOLERANCE, match
from sae_merge_method.controls.samples import RUN, RUNS, SAMPLED, TensorSample, sums_over
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.controls.write import write_controls
from sae_merge_method.models.dtypes import Floats
from sae_merge_method.models.rounding import Rounding
from sae_merge_method.models.task_vector import TensorPair
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.precision import Precision
from tests.controls.test_write import write_recipe
from tests.geometry import scenes
from tests.recipes import run_recipe

NAME = "model.layers.0.mlp.up_proj.weight"


def test_a_factor_is_found_where_energy_grows_with_it():
    found = match(lambda factor: 3 * factor**2.5, 0.7, 1.0)
    assert 3 * found.factor**2.5 == pytest.approx(0.7, rel=1e-3) and not found.as_float32


def test_far_from_where_the_intended_energies_are_equal_it_is_found_too():
    found = match(lambda factor: max(0.0, factor - 5) ** 2, 4.0, 1.0)
    assert found.factor == pytest.approx(7, rel=1e-2)


@pytest.mark.parametrize("target", [0.0, 0.5, 1e9])
def test_where_no_factor_would_do_the_arm_is_written_as_float32(target):
    assert match(lambda factor: float(factor > 2), target, 1.5) == (1.5, True)


def pair(shape: tuple[int, ...], size: float) -> TensorPair:
    generator = np.random.default_rng(0)
    base = torch.from_numpy(generator.normal(size=shape)).bfloat16().float().numpy()
    return TensorPair(0, NAME, base, (size * generator.normal(size=shape)).astype(np.float32))


@pytest.mark.parametrize("rounding", [Rounding(), Rounding("stochastic", 3)])
@pytest.mark.parametrize("size", [0.001, 0.03])
def test_samples_tell_what_is_stored_of_the_whole(rounding, size):
    both = pair((800, 700), size)
    assert both.tau.size > SAMPLED == RUNS * RUN
    whole = TensorSample(
        0, NAME, "BF16", (0,), (both.base.ravel(),), (both.tau.ravel(),), energy(both.tau), 560_000
    )
    sampled = TensorSample.of(both, both.tau, "BF16")
    precision = Precision(rounding=rounding)
    exact, told = (sums_over([one], lambda name: 0.5, precision) for one in (whole, sampled))
    assert told.intended == pytest.approx(exact.intended) == pytest.approx(0.25 * energy(both.tau))
    assert told.share == pytest.approx(exact.share, rel=0.03)
    assert told.cosine == pytest.approx(exact.cosine, rel=0.03)
    assert told.changed / told.values == pytest.approx(exact.changed / exact.values, rel=0.03)


def energy(tau: Floats) -> float:
    return float(np.square(tau, dtype=np.float64).sum())


@pytest.fixture(scope="module", params=["nearest", "stochastic"])
def merged(request, tmp_path_factory) -> tuple[dict[str, Recipe], dict[str, EditReport]]:
    """Arms over a bfloat16 base whose edit is of the size of its rounding step, or smaller."""
    root: Path = tmp_path_factory.mktemp("bfloat16")
    scene = scenes.build(root, dtype=torch.bfloat16)
    weight = {"nearest": "0.01", "stochastic": "0.001"}[request.param]  # so small that noise is most of it
    recipe = write_recipe(scene, root / "recipe.yml", "--weight", weight)
    written = yaml.safe_load(recipe.read_text())
    written["parameters"]["rounding"] = request.param
    recipe.write_text(yaml.safe_dump(written))
    wanted = ("stethoscope", "all-layers-damped", "scalpel", "scalpel-random", "stethoscope-energy-matched")
    write_controls(recipe, root / "arms", ControlSettings(arms=wanted, rank=4))
    texts = {name: (root / "arms" / f"{name}.yml").read_text() for name in wanted}
    reports = {name: run_recipe(text, root / name) for name, text in texts.items()}
    return {name: parse_recipe(text, name) for name, text in texts.items()}, reports


LIKE = {
    "all-layers-damped": "stethoscope",
    "scalpel-random": "scalpel",
    "stethoscope-energy-matched": "scalpel",
}
"""By arm, the one whose energy it is to have."""


@pytest.mark.parametrize("merged", ["nearest"], indirect=True)
def test_what_is_stored_of_matched_arms_has_one_energy_or_they_are_float32(merged):
    recipes, reports = merged
    for name, like in LIKE.items():
        assert reports[name].energy == pytest.approx(reports[like].energy, rel=TOLERANCE + 1e-3), name
        wide = recipes[name].dtype == "float32"
        assert {one.dtype for one in reports[name].tensors} == {"F32" if wide else "BF16"}


@pytest.mark.parametrize("merged", ["stochastic"], indirect=True)
def test_what_acts_of_matched_arms_is_equal_under_stochastic_rounding_and_its_noise_is_not(merged):
    recipes, reports = merged
    for name, like in LIKE.items():
        one, other = reports[name], reports[like]
        assert one.intended_energy == pytest.approx(other.intended_energy, rel=1e-3), name
        assert acting(one) == pytest.approx(acting(other), rel=0.15), name
        assert recipes[name].dtype != "float32"
    # As much over twice the layers: twice the values, and each has its noise.
    assert reports["all-layers-damped"].energy > 1.1 * reports["stethoscope"].energy


def acting(report: EditReport) -> float:
    """Size of what is stored along what was to be added: all that an edit does which noise does not."""
    assert report.component is not None
    return report.component * report.intended_energy**0.5


def test_each_arm_states_what_is_stored_of_it(merged):
    recipes, reports = merged
    for name, recipe in recipes.items():
        assert recipe.sae_control is not None and recipe.sae_control.realised_energy is not None
        assert reports[name].energy == pytest.approx(recipe.sae_control.realised_energy, rel=0.02), name
        assert reports[name].rounding == recipe.parameters.rounding
