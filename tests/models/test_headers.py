"""A header that lies about its file is refused, whatever it says."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sae_merge_method.errors import ModelError
from sae_merge_method.models.headers import read_header


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
@settings(suppress_health_check=list(HealthCheck), max_examples=100)
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
@settings(suppress_health_check=list(HealthCheck), max_examples=100)
def test_arbitrary_json_is_a_header_or_an_error(tmp_path, header):
    file = header_file(tmp_path / "model.safetensors", header)
    try:
        entries = read_header(file)
    except ModelError as error:
        assert "model.safetensors" in str(error)
        return
    assert isinstance(header, dict)
    assert entries.keys() == header.keys() - {"__metadata__"}
