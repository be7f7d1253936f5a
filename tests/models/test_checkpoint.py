"""Indexes that lie, files that are cut short, or point elsewhere never get past the reader."""

import json
from hashlib import sha256

import pytest
import torch
from xxhash import xxh3_128_hexdigest

from sae_merge_method.errors import ModelError
from sae_merge_method.models.checkpoint import open_checkpoint
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


def test_a_folder_without_safetensors_says_so(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="only safetensors weights are read"):
        open_checkpoint(tmp_path)
