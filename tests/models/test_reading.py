"""Tensors are read from the files whose headers were read, whole, by rows or in pieces, or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.models import reading
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.reading import Values, WeightFiles, pieces, read_rows, read_tensor
from tests import tiny

NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(params=[torch.float32, torch.bfloat16, torch.float16, torch.float64])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tiny.gemma3_text(tmp_path / "model", 0, dtype=request.param)


def changed(folder: Path) -> Checkpoint:
    """A checkpoint whose weights were touched after its headers were read."""
    checkpoint = open_checkpoint(folder)
    os.utime(folder / "model.safetensors", ns=(0, 0))
    return checkpoint


def test_whole_tensors_rows_and_pieces_are_the_same_numbers(folder, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", 100)
    checkpoint, expected = open_checkpoint(folder), tiny.load_tensors(folder)[NAME]
    entry = checkpoint.tensors[NAME]
    numbers = expected.to(torch.float64 if expected.dtype == torch.float64 else torch.float32).numpy()
    assert np.array_equal(read_tensor(entry), numbers)
    assert np.array_equal(read_rows(entry, [5, 0, 5]), numbers[[5, 0, 5]])
    with WeightFiles([checkpoint]) as files:
        values = Values(files, entry, np.float64)
        for first, size in pieces(entry.n_values, 100):
            piece = values.read(first, size)
            assert np.array_equal(piece.numbers, numbers.ravel()[first : first + size])
            raw = expected.view(torch.uint8).numpy().tobytes()
            assert piece.stored.tobytes() == raw[first * piece.stored.itemsize :][: piece.stored.nbytes]


def test_pieces_follow_one_another_to_the_end():
    assert list(pieces(10, 4)) == [(0, 4), (4, 4), (8, 2)]
    assert list(pieces(0)) == []


def test_rows_that_are_not_there_and_tensors_that_are_no_numbers_are_named(tmp_path):
    def whole_numbers(tensors: tiny.Tensors) -> None:
        tensors["model.norm.weight"] = torch.arange(16)

    tensors = open_checkpoint(tiny.gemma3_text(tmp_path / "model", 0, change=whole_numbers)).tensors
    with pytest.raises(ModelError, match=r"up_proj\.weight has 32 rows, and row 32 was asked for"):
        read_rows(tensors[NAME], [0, 32])
    with pytest.raises(ModelError, match=r"expected .*input_layernorm\.weight to be a matrix"):
        read_rows(tensors["model.layers.1.input_layernorm.weight"], [0])
    with pytest.raises(ModelError, match=r"model\.norm\.weight is I64: expected one of F64, F32, F16, BF16"):
        read_tensor(tensors["model.norm.weight"])


def test_bytes_are_compared_in_pieces(tmp_path, monkeypatch):
    def last_value(tensors: tiny.Tensors) -> None:
        tensors[NAME][-1, -1] += 1

    monkeypatch.setattr(reading, "_AT_ONCE", 64)
    one, same = (open_checkpoint(tiny.gemma3_text(tmp_path / name, 0)) for name in ("one", "same"))
    other = open_checkpoint(tiny.gemma3_text(tmp_path / "other", 0, change=last_value))
    with WeightFiles([one, same, other]) as files:
        assert files.same_bytes(one.tensors[NAME], same.tensors[NAME])
        assert not files.same_bytes(one.tensors[NAME], other.tensors[NAME])
        assert not files.same_bytes(one.tensors[NAME], one.tensors["model.norm.weight"])


def test_a_file_that_changed_before_or_after_it_was_read_is_an_error(tmp_path):
    before = changed(tiny.gemma3_text(tmp_path / "before", 0))
    with WeightFiles([before]) as files, pytest.raises(MergeError, match="changed after its header was read"):
        files.hashes(before.tensors[NAME])
    after, unread = (open_checkpoint(tiny.gemma3_text(tmp_path / name, 0)) for name in ("after", "unread"))
    with WeightFiles([after, unread]) as files:
        files.hashes(after.tensors[NAME])
        (tmp_path / "unread" / "model.safetensors").unlink()  # never opened, so it does not matter
        files.require_unchanged()
        os.utime(tmp_path / "after" / "model.safetensors", ns=(0, 0))
        files.require_unchanged([unread])
        with pytest.raises(MergeError, match=r"after/model\.safetensors changed while it was being read"):
            files.require_unchanged()


def test_a_file_cut_short_while_it_is_open_is_named_with_the_tensor(tmp_path):
    checkpoint = open_checkpoint(tiny.gemma3_text(tmp_path / "model", 0))
    entry = checkpoint.tensors["model.norm.weight"]
    with WeightFiles([checkpoint]) as files:
        files.hashes(entry)
        os.truncate(entry.file, entry.end - 1)
        for read in (files.hashes, lambda entry: Values(files, entry, np.float32).read(0, entry.n_values)):
            with pytest.raises(MergeError, match=r"cut short .*: it ends inside model\.norm\.weight"):
                read(entry)
