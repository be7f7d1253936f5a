"""Laws of the merge, through the real mergekit on tiny checkpoints."""

import math
from pathlib import Path

import pytest
import torch
import yaml

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.errors import MergeError, RecipeError, SaeMergeError, UsageError
from sae_merge_method.tensor_names import decoder_layer
from tests import tiny
from tests.merge.conftest import recipe_text


def edited_layers(out: Path, base: Path) -> set[int | None]:
    before, after = tiny.load_tensors(base), tiny.load_tensors(out)
    assert before.keys() == after.keys()
    return {decoder_layer(name) for name in before if not tiny.same_bytes(before[name], after[name])}


def test_only_the_selected_layers_change_and_they_become_the_donors(tmp_path, base, donor, merge):
    merge(recipe_text(base, donor))
    out, before, give = (tiny.load_tensors(folder) for folder in (tmp_path / "out", base, donor))
    assert edited_layers(tmp_path / "out", base) == {1, 3}
    for name in out:
        if decoder_layer(name) in (1, 3):
            assert tiny.same_bytes(out[name], before[name] + (give[name] - before[name]))


def test_all_layers_open_at_weight_one_equals_task_arithmetic_bit_for_bit(tmp_path, base, donor, merge):
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    merge(recipe_text(base, donor, 'layers: "0-3"'))
    source = recipe_text(base, donor, "normalize: false").replace("sae_stethoscope", "task_arithmetic")
    config = MergeConfiguration.model_validate(yaml.safe_load(source) | {"dtype": "float32"})
    run_merge(config, str(tmp_path / "stock"), MergeOptions(quiet=True, write_model_card=False))
    ours, stock = tiny.load_tensors(tmp_path / "out"), tiny.load_tensors(tmp_path / "stock")
    layers = [name for name in ours if decoder_layer(name) is not None]
    assert len(layers) == 13 * tiny.N_LAYERS
    assert all(tiny.same_bytes(ours[name], stock[name]) for name in layers)


def test_arithmetic_is_float32_and_rounded_once_for_a_wider_donor(tmp_path, merge):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    merge(recipe_text(base, donor, weight="0.3", tail="dtype: bfloat16"))
    out, before, give = (tiny.load_tensors(folder) for folder in (tmp_path / "out", base, donor))
    for name in (name for name in out if decoder_layer(name) == 1):
        theta = before[name].float()
        assert tiny.same_bytes(out[name], (theta + (give[name] - theta) * 0.3).bfloat16())
    assert edited_layers(tmp_path / "out", base) == {1, 3}


def test_gated_out_tensors_keep_the_bases_bytes_whatever_the_donor_holds(tmp_path, merge):
    def strange(tensors: tiny.Tensors) -> None:
        tensors["model.layers.0.mlp.up_proj.weight"][:] = math.nan
        tensors["model.layers.2.mlp.up_proj.weight"][:] = math.inf
        tensors["model.layers.2.self_attn.q_proj.weight"] = torch.zeros(3, 3)
        del tensors["model.layers.0.self_attn.k_norm.weight"]
        del tensors["model.norm.weight"]

    def negative_zero(tensors: tiny.Tensors) -> None:
        tensors["model.layers.0.mlp.down_proj.weight"][:] = -0.0
        tensors["model.layers.2.mlp.down_proj.weight"][0] = -0.0

    base = tiny.gemma3_text(tmp_path / "base", 0, change=negative_zero)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, vocabulary=64, change=strange)
    merge(recipe_text(base, donor))
    assert edited_layers(tmp_path / "out", base) == {1, 3}


def test_two_donors_add_up_and_filters_and_gradients_on_weight_work(tmp_path, base, donor, merge):
    second = tiny.gemma3_text(tmp_path / "second", seed=2)
    source = recipe_text(base, donor, 'layers: "0-3"', weight="[0, 0.9]") + ("chat_template: null\n")
    models = f"models:\n  - model: {second}\n    parameters: {{weight: [{{filter: mlp, value: 0.5}}, {{value: 0}}]}}\n"
    merge(source.replace("models:\n", models))
    out, before = tiny.load_tensors(tmp_path / "out"), tiny.load_tensors(base)
    one, two = tiny.load_tensors(donor), tiny.load_tensors(second)
    for name in (name for name in out if decoder_layer(name) is not None):
        gradient = 0.9 * decoder_layer(name) / 3
        expected = before[name] + (
            (two[name] - before[name]) * (0.5 if "mlp" in name else 0) + (one[name] - before[name]) * gradient
        )
        assert torch.allclose(out[name], expected, atol=1e-7), name


def test_two_runs_write_the_same_bytes(tmp_path, donor, merge):
    base = tiny.gemma3_text(tmp_path / "sharded", seed=0, shards=3)
    merge(recipe_text(base, donor), out="one/model", out_shard_size=2000)
    merge(recipe_text(base, donor), out="two/model", out_shard_size=2000)
    files = sorted(path.name for path in (tmp_path / "one/model").iterdir())
    assert sum(name.endswith(".safetensors") for name in files) > 1
    assert files == sorted(path.name for path in (tmp_path / "two/model").iterdir())
    for name in files:
        assert (tmp_path / "one/model" / name).read_bytes() == (tmp_path / "two/model" / name).read_bytes(), (
            name
        )


def test_the_gate_of_a_multimodal_model_never_means_the_vision_tower(tmp_path, merge):
    base = tiny.gemma3_multimodal(tmp_path / "base", 0)
    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    merge(recipe_text(base, donor))
    before, after = tiny.load_tensors(base), tiny.load_tensors(tmp_path / "out")
    changed = {name for name in before if not tiny.same_bytes(before[name], after[name])}
    assert changed == {
        name
        for name in before
        if name.startswith(("language_model.model.layers.1.", "language_model.model.layers.3."))
    }
    assert len(changed) == 26


def test_the_merged_model_loads_in_transformers(tmp_path, base, donor, merge):
    from transformers import AutoModelForCausalLM

    merge(recipe_text(base, donor))
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    logits = model(torch.tensor([[2, 5, 7]])).logits
    assert torch.isfinite(logits).all()


def test_the_report_names_every_tensor_with_its_hash_and_energy(tmp_path, base, donor, merge):
    report = merge(recipe_text(base, donor, weight="0.5"))
    assert read_edit_report(tmp_path / "out") == report
    before, give = tiny.load_tensors(base), tiny.load_tensors(donor)
    assert {tensor.name for tensor in report.tensors} == before.keys()
    assert {tensor.layer for tensor in report.edited()} == {1, 3}
    expected = sum(
        float((0.5 * (give[name] - before[name])).double().square().sum())
        for name in before
        if decoder_layer(name) in (1, 3)
    )
    assert report.energy == pytest.approx(expected, rel=1e-5)


def test_the_recipe_is_kept_as_it_was_written(tmp_path, base, donor, merge):
    source = recipe_text(base, donor, tail="sae_diagnosis: {score: kl_bits}  # as it was heard\n")
    merge(source)
    assert (tmp_path / "out" / "mergekit_config.yml").read_text() == source
    assert source in (tmp_path / "out" / "README.md").read_text()


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
    from sae_merge_method.merge.run import run_recipe

    with pytest.raises(SaeMergeError):
        run_recipe(recipe_text(base, broken), "r", tmp_path / "out", overwrite=True, options={"quiet": True})
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    run_recipe(
        recipe_text(base, donor, 'layers: "0"'),
        "r",
        tmp_path / "out",
        overwrite=True,
        options={"quiet": True},
    )
    assert edited_layers(tmp_path / "out", base) == {0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "broken", "donor", "out"]
