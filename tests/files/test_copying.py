"""Copies hold the source's bytes, by the kernel or by hand, but where the caller writes himself."""

import os

import pytest

from sae_merge_method.errors import MergeError
from sae_merge_method.files import copying
from sae_merge_method.files.copying import place_file

BYTES = bytes(range(256)) * 4


@pytest.fixture(params=["by the kernel", "by hand"])
def source(tmp_path, request, monkeypatch):
    """A file; blocks are not shared, so that every byte is copied."""
    monkeypatch.setattr(copying, "share_blocks", lambda source, target: False)
    monkeypatch.setattr(copying, "_STEP", 100)
    if request.param == "by hand":

        def refuse(*_: object) -> int:
            raise OSError(copying.errno.EXDEV, "another file system")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "source").write_bytes(BYTES)
    return tmp_path / "source"


def test_all_but_the_spans_left_out_is_copied(tmp_path, source):
    target, done = tmp_path / "target", []
    copy = place_file(source, target, len(BYTES), without=[(500, 600), (10, 20)])
    assert copy.spans == ((0, 10), (20, 500), (600, 1024))
    copy.run(done.append)
    written = bytearray(target.read_bytes())
    written[10:20], written[500:600] = BYTES[10:20], BYTES[500:600]
    assert written == BYTES
    assert sum(done) == len(BYTES) - 110


def test_a_source_that_became_shorter_is_an_error(tmp_path, source):
    copy = place_file(source, tmp_path / "target", len(BYTES))
    os.truncate(source, 300)
    with pytest.raises(MergeError, match="source was cut short while it was being read"):
        copy.run()


def test_a_file_that_stays_as_it_is_may_be_a_hard_link(tmp_path, source):
    assert not place_file(source, tmp_path / "linked", len(BYTES), link=True).spans
    assert (tmp_path / "linked").samefile(source)
    assert place_file(source, tmp_path / "written", len(BYTES), without=[(0, 1)], link=True).spans
    assert not (tmp_path / "written").samefile(source)
