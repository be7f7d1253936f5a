"""Only regular files are opened: what would block or never end is an error at once."""

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.main import road
from sae_merge_method.errors import ModelError, SaeMergeError
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.files.regular import read_regular, read_regular_text
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny
from tests.recipes import recipe_text


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


def test_text_is_read_with_one_kind_of_line_end_and_never_from_a_fifo(tmp_path, fifo):
    (tmp_path / "file").write_bytes("\ufeffä\r\nb\n".encode())
    assert read_regular_text(tmp_path / "file", "utf-8-sig") == "ä\nb\n"
    with pytest.raises(OSError, match="expected a regular file"):
        read_regular_text(fifo)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.safetensors.index.json"])
def test_a_fifo_in_a_model_folder_is_refused_by_name(tmp_path, fifo, name):
    folder = tiny.gemma3_text(tmp_path / "model", 0, shards=2 if "index" in name else 1)
    (folder / name).unlink()
    fifo.rename(folder / name)
    with pytest.raises(ModelError, match=rf"{name}.*expected a regular file"):
        open_checkpoint(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return tiny.gemma3_text(folder / "base", 0), tiny.gemma3_text(folder / "donor", 1)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("verify", "out"), "mergekit_config.yml"),
        (("card", "out", "--license", "mit"), "mergekit_config.yml"),
        (("card", "out", "--license", "mit"), "README.md"),
        (("compare", "out", "out"), "results_2026-01-01T00-00-00.000000.json"),
        (("merge", "recipe.yml", "another"), "base/generation_config.json"),
    ],
    ids=str,
)
def test_no_command_waits_for_a_fifo_in_a_folder_that_it_reads(
    tmp_path, monkeypatch, fifo, models, words, name
):
    monkeypatch.chdir(tmp_path)
    for model in models:
        shutil.copytree(model, tmp_path / model.name)
    (tmp_path / "recipe.yml").write_text(recipe_text("base", "donor"))
    assert CliRunner().invoke(road, ["merge", "recipe.yml", "out"]).exit_code == 0
    where = tmp_path / name if "/" in name else tmp_path / "out" / name
    where.unlink(missing_ok=True)
    fifo.rename(where)
    result = CliRunner().invoke(road, list(words))
    assert result.exit_code == 1
    assert isinstance(result.exception, (SaeMergeError, OSError))  # whoever calls main() says it in one line
    assert "expected a regular file" in f"{result.exception} {result.output}"
    assert not (tmp_path / "another").exists()
