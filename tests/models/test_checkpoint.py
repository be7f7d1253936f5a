"""Headers and indexes that lie, are cut short, or point elsewhere never get past the reader."""

import json
import struct
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_hexdigest

from sae_merge_method.errors import ModelError
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.headers import read_header
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


def header_file(path: Path, header: object, data: bytes = b"\0" * 16, length: int | None = None) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


GOOD = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "entry",
    [
        GOOD | {"data_offsets": [0, 17]},
        GOOD | {"data_offsets": [-16, 0]},
        GOOD | {"data_offsets": [16, 0]},
        GOOD | {"data_offsets": [0]},
        GOOD | {"data_offsets": "ab"},
        GOOD | {"shape": [3, 2]},
        GOOD | {"shape": [2, -2]},
        GOOD | {"shape": None},
        {"dtype": "F32"},
        7,
        None,
    ],
)
def test_an_entry_that_lies_about_the_file_is_refused(tmp_path, entry):
    file = header_file(tmp_path / "model.safetensors", {"t": entry})
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        read_header(file)


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**63])
def test_a_header_length_that_lies_is_refused(tmp_path, length):
    file = header_file(tmp_path / "model.safetensors", {"t": GOOD}, length=length)
    with pytest.raises(ModelError):
        read_header(file)


@given(data=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_arbitrary_bytes_are_a_header_or_an_error(tmp_path, data):
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    try:
        entries = read_header(file)
    except ModelError:
        return
    assert all(0 <= entry.start <= entry.end <= len(data) for entry in entries.values())


@given(
    header=st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_arbitrary_json_is_a_header_or_an_error(tmp_path, header):
    file = header_file(tmp_path / "model.safetensors", header)
    try:
        found = read_header(file)
    except ModelError as error:
        assert "model.safetensors" in str(error)
        return
    assert isinstance(header, dict)
    assert found.keys() == header.keys() - {"__metadata__"}


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
