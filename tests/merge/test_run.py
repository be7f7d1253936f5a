"""Laws of the merge, through the real mergekit on tiny checkpoints."""

import math

import pytest
import torch

from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe


def test_only_the_selected_layers_change_and_they_become_the_donors(tmp_path, base, donor, merge):
    merge(recipe_text(base, donor))
    out, before, give = (tiny.load_tensors(folder) for folder in (tmp_path / "out", base, donor))
    assert tiny.edited_layers(tmp_path / "out", base) == {1, 3}
    for name in out:
        if decoder_layer(name) in (1, 3):
            assert tiny.same_bytes(out[name], before[name] + (give[name] - before[name]))


def test_all_layers_at_weight_one_equals_task_arithmetic_bit_for_bit(tmp_path, base, donor, merge):
    merge(recipe_text(base, donor, 'layers: "0-3"'))
    source = recipe_text(base, donor, "normalize: false", tail="dtype: float32")
    stock = plain_mergekit(source.replace("sae_stethoscope", "task_arithmetic"), tmp_path / "stock")
    ours = tiny.load_tensors(tmp_path / "out")
    layers = [name for name in ours if decoder_layer(name) is not None]
    assert len(layers) == 13 * tiny.N_LAYERS
    assert all(tiny.same_bytes(ours[name], stock[name]) for name in layers)


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
    assert tiny.edited_layers(tmp_path / "out", base) == {1, 3}


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


def test_an_existing_output_survives_a_failure_and_is_replaced_only_when_asked(tmp_path, base, donor, merge):
    def hole(tensors: tiny.Tensors) -> None:
        tensors["model.layers.1.self_attn.q_proj.weight"][0, 0] = math.nan

    merge(recipe_text(base, donor))
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    with pytest.raises(UsageError, match="exists and is not empty"):
        merge(recipe_text(base, donor))
    broken = tiny.gemma3_text(tmp_path / "broken", 1, change=hole)
    with pytest.raises(SaeMergeError):
        run_recipe(recipe_text(base, broken), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    run_recipe(recipe_text(base, donor, 'layers: "0"'), tmp_path / "out", overwrite=True)
    assert tiny.edited_layers(tmp_path / "out", base) == {0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "broken", "donor", "out"]
