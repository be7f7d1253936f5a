"""The manual's Python is run as it stands there."""

import pytest

from tests.docs.blocks import blocks


@pytest.fixture
def ground(tour, tmp_path, monkeypatch):
    """A working folder with what the manual's code takes, and nothing that it makes."""
    for name in ("base", "donor", "saes", "target.jsonl", "control.jsonl", "results"):
        (tmp_path / name).symlink_to(tour[1] / name)
    monkeypatch.chdir(tmp_path)


def test_the_code_from_python_runs(ground, capsys):
    (block,) = blocks("python")
    names = {}
    exec(block.text, names)
    assert "layers diagnosed" in capsys.readouterr().out
    assert len(names["report"].layers) == 3
    assert len(names["verdicts"]) == 7
