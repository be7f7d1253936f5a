"""Only regular files are opened: what would block or never end is an error at once."""

import os
from pathlib import Path

import pytest

from sae_merge_method.errors import ModelError, SaeMergeError
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.files.regular import read_regular
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_regular_file_is_read_through_links_too(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"abc"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev"])
def test_a_device_or_a_folder_is_no_file(path):
    with pytest.raises(OSError, match="expected a regular file"):
        read_regular(Path(path))


def test_a_fifo_is_never_waited_for(fifo):
    with pytest.raises(OSError, match="expected a regular file"):
        read_regular(fifo)
    with pytest.raises(SaeMergeError, match="expected a regular file"):
        file_sha256(fifo)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.safetensors.index.json"])
def test_a_fifo_in_a_model_folder_is_refused_by_name(tmp_path, fifo, name):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2 if "index" in name else 1)
    (folder / name).unlink()
    fifo.rename(folder / name)
    with pytest.raises(ModelError, match=rf"{name}.*expected a regular file"):
        open_checkpoint(folder)
