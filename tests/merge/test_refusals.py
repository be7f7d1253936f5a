"""What a merge refuses, before anything is written."""

import math

import pytest
import torch

from sae_merge_method.errors import MergeError, RecipeError, SaeMergeError, UsageError
from tests import tiny
from tests.merge.conftest import edited_layers
from tests.recipes import recipe_text


def hole(name: str, value: float):
    def change(tensors: tiny.Tensors) -> None:
        tensors[name].view(-1)[0] = value

    return change


Q_PROJ = "model.layers.1.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hole(Q_PROJ, math.nan), f"{Q_PROJ}: the donor tensor holds 1 NaN"),
        (hole(Q_PROJ, -math.inf), f"{Q_PROJ}: the donor tensor holds 1 NaN or infinite"),
        (lambda tensors: tensors.pop(Q_PROJ), f"{Q_PROJ} lies in a selected layer, but the donor"),
        (
            lambda tensors: tensors.update({Q_PROJ: torch.zeros(4, 16)}),
            f"{Q_PROJ}: expected shape \\[16, 16\\]",
        ),
    ],
)
def test_a_broken_donor_tensor_in_an_open_layer_is_named_and_nothing_is_written(
    tmp_path, base, merge, change, message
):
    donor = tiny.gemma3_text(tmp_path / "donor", 1, change=change)
    with pytest.raises(MergeError, match=message):
        merge(recipe_text(base, donor))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "donor"]


def test_a_donor_with_fewer_layers_is_refused(tmp_path, base, merge):
    donor = tiny.gemma3_text(tmp_path / "donor", 1, n_layers=2)
    with pytest.raises(MergeError, match=r"model\.layers\.3\..* the donor .* has no such tensor"):
        merge(recipe_text(base, donor))


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (('layers: "1, 3"', 'layers: "1, 4"'), UsageError, "layer 4 is out of range .* 4 layers, 0 to 3"),
        (('layers: "1, 3"', "layers: [1, 3]"), RecipeError, "expected one quoted string .* gradient"),
        (('layers: "1, 3"', ""), RecipeError, "no gate"),
        (('layers: "1, 3"', 'select: "top_k=1"'), RecipeError, "needs diagnosis"),
        (('layers: "1, 3"', 'layers: "1, 3", density: 0.5'), RecipeError, "parameters.density: unknown key"),
        (("weight: 1.0", "wieght: 1.0"), RecipeError, "models.0.parameters.wieght: unknown key"),
        (("weight: 1.0", 'weight: "much"'), RecipeError, "expected a number, a list of numbers"),
        (("weight: 1.0", "weight: .nan"), RecipeError, "finite"),
        (("base_model:", "basemodel:"), RecipeError, "base_model: Field required"),
        (("sae_stethoscope", "sae_telescope"), RecipeError, "expected sae_stethoscope"),
        (("models:\n", "modules: {}\nmodels:\n"), RecipeError, "exactly one of models, slices, modules"),
        (("parameters: {layers", "dtype: int8\nparameters: {layers"), RecipeError, "dtype"),
    ],
)
def test_what_mergekit_lets_pass_is_refused_before_anything_is_written(
    tmp_path, base, donor, merge, edit, error, message
):
    source = recipe_text(base, donor)
    assert edit[0] in source
    with pytest.raises(error, match=message):
        merge(source.replace(*edit))
    assert not (tmp_path / "out").exists()


def test_float16_over_a_bfloat16_base_is_refused(tmp_path, donor, merge):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    with pytest.raises(RecipeError, match="float16 over a bfloat16 base"):
        merge(recipe_text(base, donor, tail="dtype: float16"))


def test_slices_must_keep_layers_in_their_places(tmp_path, base, donor, merge):
    restacked = f"""\
merge_method: sae_stethoscope
base_model: {base}
slices:
  - sources:
      - {{model: {base}, layer_range: [2, 4]}}
      - {{model: {donor}, layer_range: [2, 4]}}
  - sources: [{{model: {base}, layer_range: [0, 2]}}]
parameters: {{layers: "2"}}
"""
    with pytest.raises(RecipeError, match="go on at layer 0"):
        merge(restacked)


def test_an_open_layer_without_a_donor_is_an_error(tmp_path, base, donor, merge):
    source = f"""\
merge_method: sae_stethoscope
base_model: {base}
slices:
  - sources: [{{model: {base}, layer_range: [0, 2]}}]
  - sources:
      - {{model: {base}, layer_range: [2, 4]}}
      - {{model: {donor}, layer_range: [2, 4]}}
parameters: {{layers: "1, 3"}}
"""
    with pytest.raises(RecipeError, match="layers 1 are selected, but the recipe names no donor"):
        merge(source)


def test_an_existing_output_survives_a_failure_and_is_replaced_only_when_asked(tmp_path, base, donor, merge):
    merge(recipe_text(base, donor))
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    with pytest.raises(UsageError, match="exists and is not empty"):
        merge(recipe_text(base, donor))
    broken = tiny.gemma3_text(tmp_path / "broken", 1, change=hole(Q_PROJ, math.nan))
    from tests.recipes import run_recipe

    with pytest.raises(SaeMergeError):
        run_recipe(recipe_text(base, broken), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    run_recipe(recipe_text(base, donor, 'layers: "0"'), tmp_path / "out", overwrite=True)
    assert edited_layers(tmp_path / "out", base) == {0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "broken", "donor", "out"]
