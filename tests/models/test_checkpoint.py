"""Indexes that lie, files that are cut short, or point elsewhere never get past the reader."""

import json
from hashlib import sha256

import pytest
import torch
from safetensors.torch import load_file, save_file
from xxhash import xxh3_128_hexdigest

from sae_merge_method.errors import ModelError
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.reading import WeightFiles
from tests import tiny


def test_entries_give_the_bytes_of_every_tensor(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "model", 0, dtype=torch.bfloat16, shards=2)
    checkpoint = open_checkpoint(folder)
    tensors = tiny.load_tensors(folder)
    assert checkpoint.tensors.keys() == tensors.keys()
    assert checkpoint.n_layers == tiny.N_LAYERS
    assert checkpoint.dtypes() == {"bfloat16"}
    with WeightFiles([checkpoint]) as files:
        for name, entry in checkpoint.tensors.items():
            assert entry.shape == tuple(tensors[name].shape)
            stored = tensors[name].view(torch.uint8).numpy().tobytes()
            assert files.hashes(entry) == (xxh3_128_hexdigest(stored), sha256(stored).hexdigest())


def test_a_multimodal_config_tells_the_text_decoders_layers(tmp_path):
    checkpoint = open_checkpoint(tiny.gemma3_multimodal(tmp_path / "model", 0))
    assert checkpoint.is_multimodal
    assert checkpoint.n_layers == tiny.N_LAYERS


@pytest.mark.parametrize(
    "file", ["../elsewhere.safetensors", "/etc/passwd", "", ".", "..", "a/b.safetensors", 3]
)
def test_an_index_cannot_name_files_outside_its_folder(tmp_path, file):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": file}}))
    with pytest.raises(ModelError, match="expected a file name inside"):
        open_checkpoint(folder)


def test_a_truncated_shard_is_named(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "model", 0)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(
        ModelError, match=r"model\.safetensors: the header's entry for .* points outside the file"
    ):
        open_checkpoint(folder)


def test_leftovers_of_an_older_checkpoint_are_refused(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2)
    (folder / "model.safetensors").write_bytes((folder / "model-00001-of-00002.safetensors").read_bytes())
    with pytest.raises(ModelError, match="holds both"):
        open_checkpoint(folder)


def test_a_tensor_in_two_shards_is_refused_by_its_name_and_shards(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2)
    one, two = sorted(folder.glob("*.safetensors"))
    name = next(iter(load_file(one)))
    save_file(load_file(two) | {name: load_file(one)[name] + 1}, two, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"{name} stands in two shards of .*{one.name}.*{two.name}"):
        open_model(str(folder))
    kept = open_checkpoint(folder).tensors[name]
    assert kept.file == one  # where the index places it, for whoever looks on


def test_a_tensor_that_no_index_names_is_refused(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    del content["weight_map"]["model.layers.1.mlp.up_proj.weight"]
    index.write_text(json.dumps(content))
    with pytest.raises(
        ModelError, match=r"holds model\.layers\.1\.mlp\.up_proj\.weight, which .* does not name"
    ):
        open_model(str(folder))


@pytest.mark.parametrize("count", [5, 10**12])
def test_a_count_of_layers_is_bounded_by_the_tensors(tmp_path, count):
    folder = tiny.gemma3_text(tmp_path / "model", 0)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": count}))
    with pytest.raises(ModelError, match=f"has {count} layers, expected at most 4"):
        _ = open_checkpoint(folder).n_layers


def test_a_count_of_layers_is_bounded_where_only_the_config_is_at_hand(tmp_path):
    with pytest.raises(ModelError, match="has 1000000000000 layers, expected at most 10000"):
        _ = Checkpoint(tmp_path, {"num_hidden_layers": 10**12}, "", {}).n_layers


def test_a_folder_without_safetensors_says_so(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="only safetensors weights are read"):
        open_checkpoint(tmp_path)


def test_a_byte_order_mark_is_no_part_of_config_and_index(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2)
    before = open_checkpoint(folder)
    for name in ("config.json", "model.safetensors.index.json"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    marked = open_checkpoint(folder)
    assert marked.config == before.config and marked.tensors == before.tensors
