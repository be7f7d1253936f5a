"""What a merge refuses, before anything is written."""

import math

import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.errors import MergeError, RecipeError, SaeError, SaeMergeError, UsageError
from tests import tiny
from tests.merge.scalpels import LAYERS, parameters, recipe
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe


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
def test_a_broken_donor_tensor_in_a_selected_layer_is_named_and_nothing_is_written(
    tmp_path, base, merge, change, message
):
    donor = tiny.gemma3_text(tmp_path / "donor", 1, change=change)
    with pytest.raises(MergeError, match=message):
        merge(recipe_text(base, donor))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "donor"]


def test_a_donor_with_fewer_layers_is_refused(tmp_path, base, merge):
    donor = tiny.gemma3_text(tmp_path / "donor", 1, n_layers=2)
    with pytest.raises(MergeError, match=r"num_hidden_layers is 4 in the base .*, 2 in .*donor"):
        merge(recipe_text(base, donor))
    with pytest.raises(MergeError, match=r"model\.layers\.3\..* the donor .* has no such tensor"):
        run_recipe(recipe_text(base, donor), tmp_path / "out", allow_mismatch=["num_hidden_layers"])


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("_orig_mod.", "_orig_mod., which torch.compile leaves in them, and it has to be saved without"),
        ("module.", "module., which DistributedDataParallel or DataParallel leaves in them"),
        ("base_model.model.", "begin as an adapter's model does in peft"),
    ],
)
def test_a_donor_whose_names_a_wrapper_changed_is_told_by_it(tmp_path, base, merge, prefix, message):
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    tensors = {prefix + name: tensor for name, tensor in tiny.load_tensors(donor).items()}
    save_file(tensors, donor / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MergeError, match=message):
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
        (("weight: 1.0", "weight: 1e999"), RecipeError, "expected a number, a list of numbers"),
        (("weight: 1.0", "weight: [1e-1, much]"), RecipeError, "expected a number, a list of numbers"),
        (("base_model:", "basemodel:"), RecipeError, "base_model: Field required"),
        (
            ("sae_stethoscope", "sae_telescope"),
            RecipeError,
            "is a `sae_telescope` recipe; sae-merge runs sae_stethoscope",
        ),
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


@pytest.mark.parametrize("text", ["1e-1", "[1e-1, 2E-1]", "[{filter: mlp, value: 1e-1}, {value: [3e0, 1]}]"])
def test_a_power_of_ten_that_yaml_takes_for_text_is_a_number_for_every_door(tmp_path, base, donor, text):
    plain = text.replace("1e-1", "0.1").replace("2E-1", "0.2").replace("3e0", "3.0")
    results = []
    for gate, weight in (('layers: "1, 3", energy: 4e-1', text), ('layers: "1, 3", energy: 0.4', plain)):
        source = recipe_text(base, donor, gate, weight)
        for engine in ("direct", "mergekit"):
            report = run_recipe(source, tmp_path / f"{len(results)}", engine=engine)
            results.append(report.result_sha256)
    source = recipe_text(base, donor, 'layers: "1, 3", energy: 4e-1', text)
    stock, ours = plain_mergekit(source, tmp_path / "stock"), tiny.load_tensors(tmp_path / "0")
    assert len(set(results)) == 1 and all(tiny.same_bytes(stock[name], ours[name]) for name in ours)


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


def test_a_selected_layer_without_a_donor_is_an_error(tmp_path, base, donor, merge):
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


@pytest.mark.parametrize(
    ("method", "given", "error", "message"),
    [
        ("sae_scalpel", {"rank": None}, RecipeError, "exactly one of rank"),
        ("sae_scalpel", {"features": "1: 0; 3: 1"}, RecipeError, "exactly one of rank"),
        ("sae_scalpel", {"rank": 0}, RecipeError, "parameters.rank: .*greater than or equal to 1"),
        ("sae_scalpel", {"rank": 2.5}, RecipeError, "parameters.rank: .*valid integer"),
        ("sae_scalpel", {"rank": [1, 2]}, RecipeError, "parameters.rank: expected one value: .*gradient"),
        ("sae_scalpel", {"rank": 17}, RecipeError, "rank: 17 is more than the residual stream's 16"),
        ("sae_scalpel", {"rank": 99}, SaeError, "more features than the SAE of layer 1 has"),
        ("sae_scalpel", {"mode": "slice"}, RecipeError, "parameters.mode: .*'project', 'reject', 'random'"),
        ("sae_scalpel", {"beta": 0.5}, RecipeError, "beta and gamma belong to mode: hybrid"),
        ("sae_scalpel", {"energy": 0.5}, RecipeError, "parameters.energy: unknown key"),
        ("sae_scalpel", {"sae": "nowhere/{layer}"}, SaeError, "there is no folder nowhere/1"),
        ("sae_scalpel", {"rank": None, "features": 3}, RecipeError, "parameters.features: .*quoted string"),
        ("sae_scalpel", {"energy_match": "yes"}, RecipeError, "parameters.energy_match: .*boolean"),
        ("sae_scalpel", {"residual_axes": "mlp"}, RecipeError, "residual_axes: expected items like"),
        ("sae_stethoscope", {"layers": LAYERS, "rank": 4}, RecipeError, "parameters.rank: unknown key"),
        ("sae_stethoscope", {"layers": LAYERS, "energy": -1}, RecipeError, "parameters.energy: .*greater"),
        (
            "sae_stethoscope",
            {"layers": LAYERS, "energy": [0, 1]},
            RecipeError,
            "parameters.energy: .*gradient",
        ),
        ("sae_stethoscope", {"layers": LAYERS, "diagnosis": "d"}, RecipeError, "needs select"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    tmp_path, scene, method, given, error, message
):
    values = parameters(scene, **given) if method == "sae_scalpel" else given
    source = recipe(scene, method, **{name: value for name, value in values.items() if value is not None})
    with pytest.raises(error, match=message):
        run_recipe(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    if not any(
        word in message for word in ("gradient", "unknown key", "boolean")
    ):  # mergekit lets these pass
        with pytest.raises((SaeMergeError, ValueError)):
            plain_mergekit(source, tmp_path / "stock")
