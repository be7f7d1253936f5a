"""Shards without an index are read by their own headers, and only where they are a whole set."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sae_merge_method.errors import ModelError
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.shards import INDEX_FILE
from tests import tiny
from tests.recipes import recipe_text, run_recipe


@pytest.fixture
def shards(tmp_path) -> Path:
    folder = tiny.gemma3_text(tmp_path / "shards", 1, shards=2)
    (folder / INDEX_FILE).unlink()
    return folder


def test_shards_without_an_index_hold_what_their_headers_say(shards, tmp_path):
    whole = tiny.gemma3_text(tmp_path / "whole", 1)
    assert open_model(str(shards)).tensors.keys() == open_model(str(whole)).tensors.keys()


def test_a_donor_without_an_index_gives_what_it_gives_with_one(shards, tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0)
    indexed = tiny.gemma3_text(tmp_path / "indexed", 1, shards=2)
    results = [
        run_recipe(recipe_text(base, donor), tmp_path / f"out-{number}", engine=engine).result_sha256
        for number, (donor, engine) in enumerate(
            [(indexed, "direct"), (shards, "direct"), (shards, "mergekit")]
        )
    ]
    assert len(set(results)) == 1


@pytest.mark.parametrize("engine", ["direct", "mergekit"])
def test_a_base_without_an_index_is_written_with_one(shards, tmp_path, engine):
    donor = tiny.gemma3_text(tmp_path / "donor", 2)
    run_recipe(recipe_text(shards, donor), tmp_path / "out", engine=engine)
    merged = open_checkpoint(tmp_path / "out")
    merged.require_agreement()
    assert merged.has_index
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"] and model.config.num_hidden_layers == tiny.N_LAYERS


def test_a_missing_shard_is_named(shards):
    (shards / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match="expected model-00002-of-00002.safetensors"):
        open_model(str(shards))


def test_a_tensor_in_two_shards_is_refused(shards):
    tensors = tiny.load_tensors(shards)
    first = shards / "model-00001-of-00002.safetensors"
    save_file(tensors, first)
    with pytest.raises(ModelError, match="stands in two shards .* no model.safetensors.index.json"):
        open_model(str(shards))


def test_a_donors_tensor_in_two_shards_matters_where_its_layer_is_selected(shards, tmp_path):
    base, donor = tiny.gemma3_text(tmp_path / "base", 0), tiny.gemma3_text(tmp_path / "donor", 1, shards=2)
    one, two = sorted(donor.glob("model-*.safetensors"))
    name, tensor = next((name, tensor) for name, tensor in load_file(two).items() if ".layers.3." in name)
    save_file(load_file(one) | {name: tensor}, one)
    run_recipe(recipe_text(base, donor, gate='layers: "1"'), tmp_path / "out")
    with pytest.raises(ModelError, match="stands in two shards"):
        run_recipe(recipe_text(base, donor, gate='layers: "3"'), tmp_path / "other")


def test_two_sets_of_shards_are_refused_and_strangers_too(shards):
    shutil.copy(shards / "model-00001-of-00002.safetensors", shards / "model-00001-of-00001.safetensors")
    with pytest.raises(ModelError, match="not of one set"):
        open_model(str(shards))
    (shards / "model-00001-of-00001.safetensors").rename(shards / "extra.safetensors")
    with pytest.raises(ModelError, match="not of one set"):
        open_model(str(shards))


def test_an_adapter_or_a_consolidated_copy_beside_them_is_passed_over(shards):
    held = open_model(str(shards)).tensors.keys()
    for name in ("adapter_model.safetensors", "consolidated.safetensors"):
        save_file(tiny.text_tensors(3), shards / name)
    assert open_model(str(shards)).tensors.keys() == held


def test_one_file_of_another_name_is_read(shards, tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    save_file(tiny.text_tensors(0), folder / "weights.safetensors")
    (folder / "config.json").write_text(json.dumps(tiny.text_config()))
    assert open_model(str(folder)).n_layers == tiny.N_LAYERS
