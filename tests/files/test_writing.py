"""Files are written whole or not at all."""

import pytest

from sae_merge_method.files.writing import canonical_json, write_text


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write_text(tmp_path / "file.txt", "old")
    monkeypatch.setattr(
        "os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "file.txt", "new")
    assert (tmp_path / "file.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_the_same_value_is_the_same_json_and_nan_is_none_at_all():
    assert canonical_json({"b": [1.5], "a": "ü"}) == '{\n  "b": [\n    1.5\n  ],\n  "a": "ü"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
