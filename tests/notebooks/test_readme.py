"""The README's Python is run as it stands there."""

import re

import pytest

from tests.notebooks.conftest import ROOT


@pytest.fixture
def ground(tour, tmp_path, monkeypatch):
    """A working folder with what the README's code takes, and nothing that it makes."""
    for name in ("base", "donor", "saes", "target.jsonl", "control.jsonl", "results"):
        (tmp_path / name).symlink_to(tour[1] / name)
    monkeypatch.chdir(tmp_path)


def test_the_code_from_python_runs(ground, capsys):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## From Python\n")[2]
    (code,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    names = {}
    exec(code, names)
    assert "layers diagnosed" in capsys.readouterr().out
    assert len(names["report"].layers) == 3
    assert len(names["verdicts"]) == 7
