"""Hashes of spans are the hashes of their bytes, whoever reads them and in whatever pieces."""

import os
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_128_hexdigest

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files import hashing
from sae_merge_method.files.hashing import Hasher, file_sample, file_sha256, hash_span, json_sha256


@pytest.fixture
def handle(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(200)))
    number = os.open(tmp_path / "file", os.O_RDONLY)
    yield number
    os.close(number)


def test_a_span_has_the_hashes_of_its_bytes_and_progress_adds_up(handle, monkeypatch):
    monkeypatch.setattr(hashing, "_AT_ONCE", 16)
    data, done = bytes(range(30, 180)), []
    hashes = hash_span(handle, 30, 150, advance=done.append)
    assert hashes == (xxh3_128_hexdigest(data), sha256(data).hexdigest())
    assert sum(done) == 150 and max(done) == 16
    assert hash_span(handle, 30, 150, with_sha256=False) == (hashes.xxh3, None)
    assert hash_span(handle, 200, 0).xxh3 == xxh3_128_hexdigest(b"")


def test_a_span_beyond_the_end_is_no_hash_at_all(handle):
    with pytest.raises(EOFError):
        hash_span(handle, 150, 51)


@given(st.lists(st.binary(max_size=40)))
def test_pieces_hash_as_their_whole(pieces):
    hasher = Hasher()
    for piece in pieces:
        hasher.update(piece)
    whole = b"".join(pieces)
    assert hasher.hashes() == (xxh3_128_hexdigest(whole), sha256(whole).hexdigest())


def test_a_whole_file_is_named_when_it_cannot_be_read(tmp_path):
    (tmp_path / "file").write_bytes(b"bytes")
    assert file_sha256(tmp_path / "file") == sha256(b"bytes").hexdigest()
    with pytest.raises(SaeMergeError, match="cannot read .*nowhere: No such file"):
        file_sha256(tmp_path / "nowhere")


def test_the_hash_of_a_value_is_that_of_its_json_whatever_the_order_of_its_keys():
    wanted = sha256(b'{"a": [1, null], "b": "\\u00e9"}').hexdigest()
    assert json_sha256({"b": "é", "a": [1, None]}) == json_sha256({"a": (1, None), "b": "é"}) == wanted
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_sha256([float("nan")])


@pytest.mark.parametrize("size", [1, 1 << 16, 3 << 16, (64 << 16) + 5, 9 << 20])
def test_a_sample_tells_other_bytes_another_length_and_no_other_place_or_time(tmp_path, size):
    one, copy, trained_anew = (tmp_path / name for name in ("one", "copy", "trained_anew"))
    one.write_bytes(bytes(size))
    copy.write_bytes(bytes(size))
    trained_anew.write_bytes(b"1" * size)
    os.utime(copy, (0, 0))
    assert file_sample(copy) == file_sample(one) != file_sample(trained_anew)
    with copy.open("ab") as file:
        file.write(b"\0")
    assert file_sample(copy) != file_sample(one)


@pytest.mark.parametrize("at", [0, 1000, 200_000, (64 << 16) - 1])
def test_of_a_small_file_every_byte_is_in_the_sample(tmp_path, at):
    file = tmp_path / "file"
    data = bytearray(64 << 16)
    file.write_bytes(data)
    before = file_sample(file)
    data[at] = 1
    file.write_bytes(data)
    assert file_sample(file) != before


def test_a_sample_of_a_file_that_is_not_there_names_it(tmp_path):
    with pytest.raises(SaeMergeError, match="cannot read .*gone: No such file"):
        file_sample(tmp_path / "gone")
