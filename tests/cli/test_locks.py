"""Every command that writes into a folder holds it alone; who comes second is told by whom, and changes
nothing."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from sae_merge_method.artifacts.draws import ScoreDraws, write_draws
from sae_merge_method.cli.main import COMMANDS, road
from sae_merge_method.errors import InUseError
from sae_merge_method.files.lock import claimed, locked
from tests.diagnoses import save_diagnosis
from tests.evaluations import results
from tests.experiment.ground import SETTINGS
from tests.experiment.report.folders import BASE, PICK
from tests.experiment.report.folders import lay_out as lay_out_experiment
from tests.faults.conftest import state
from tests.merge.edited_in_place import edit
from tests.merged import make_merged

Hold = Callable[[Path], AbstractContextManager[None]]


class Writing(NamedTuple):
    """A way in which a command writes a folder."""

    words: str
    """Below the ground's folder."""
    folder: str
    """What it writes."""
    hold: Hold = locked
    """How another process is at work there: in it, or making it."""


_DIAGNOSE = "diagnose --model base --sae saes --target target.jsonl --control control.jsonl"
_ATTRIBUTE = "attribute --base base --donor donor --target target.jsonl --control control.jsonl"
WRITES: dict[str, tuple[Writing, ...]] = {
    "diagnose": (
        Writing(f"{_DIAGNOSE} --out new", "new", claimed),
        Writing(f"{_DIAGNOSE} --out diagnosis --overwrite", "diagnosis"),
    ),
    "attribute": (
        Writing(f"{_ATTRIBUTE} --out new", "new", claimed),
        Writing(f"{_ATTRIBUTE} --out diagnosis --overwrite", "diagnosis"),
    ),
    "train-saes": (
        Writing("train-saes --model base --text target.jsonl --out new", "new", claimed),
        Writing("train-saes --model base --text target.jsonl --out diagnosis --overwrite", "diagnosis"),
    ),
    "score": (
        Writing("score diagnosis --out new", "new", claimed),
        Writing("score diagnosis --out diagnosis --overwrite", "diagnosis"),
    ),
    "select": (Writing("select diagnosis --rule top_k=1 --mark", "diagnosis"),),
    "merge": (
        Writing("merge recipe.yml new", "new", claimed),
        Writing("merge recipe.yml out --overwrite", "out"),
        Writing("merge recipe.yml --in-place", "base"),
    ),
    "controls": (
        Writing("controls recipe.yml --out new", "new", claimed),
        Writing("controls recipe.yml --out out --overwrite", "out"),
    ),
    "experiment": (
        Writing("experiment run experiment.yml --out exp", "exp"),
        Writing("experiment plan experiment.yml --out exp --diagnose", "exp"),
        Writing("experiment report exp", "exp"),
    ),
    "tune": (
        Writing("tune tune.yml --out new", "new", claimed),
        Writing("tune tune.yml --out out --overwrite", "out"),
    ),
    "rebuild": (
        Writing("rebuild out new", "new", claimed),
        Writing("rebuild out out2 --overwrite", "out2"),
    ),
    "card": (Writing("card out --license mit", "out"),),
    "undo": (Writing("undo edited", "edited"),),
    "compare": (Writing("compare before.json after.json --out comparison", "comparison"),),
    "demo": (
        Writing("demo --out new", "new", claimed),
        Writing("demo --out demo --overwrite", "demo"),
    ),
}  # fmt: skip
ONE_FILE_OR_NONE = {
    "recipe", "recipes", "verify", "energy", "diff", "tasks-path", "doctor",
}  # fmt: skip
"""Commands that write nothing but files named by the user, each whole or not at all."""
EVERY_WAY = [pytest.param(way, id=way.words) for ways in WRITES.values() for way in ways]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every one of these commands could run, or would be refused for its own reasons
    only."""
    folder = tmp_path_factory.mktemp("ground")
    merged = make_merged(folder)
    recipe = (merged.out / "mergekit_config.yml").read_text()
    (folder / "recipe.yml").write_text(recipe)
    make_merged(folder / "again")
    edited = (folder / "again" / "out" / "mergekit_config.yml").read_text()
    edit(edited)
    (folder / "again" / "base").rename(folder / "edited")
    (folder / "again" / "out").rename(folder / "out2")
    save_diagnosis(folder / "diagnosis", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.7})
    layers = np.arange(4, dtype=np.int32)
    write_draws(folder / "diagnosis", ScoreDraws(layers, layers * 0, *(np.zeros((2, 4)) for _ in range(2))))
    for name, right in (("before", 10), ("after", 20)):
        (folder / f"{name}.json").write_text(json.dumps(results({"minerva_math_algebra": (right, 50)})))
    (folder / "comparison").mkdir()
    lay_out_experiment(folder / "exp", [BASE, PICK])
    settings = {name: value for name, value in SETTINGS.items() if name != "general_loss"}
    (folder / "experiment.yml").write_text(yaml.safe_dump(settings))
    texts = {"target": "target.jsonl", "control": "control.jsonl"}
    (folder / "tune.yml").write_text(
        yaml.safe_dump({"base": "base", "donor": "donor", "budget": 0.1, **texts})
    )
    (folder / "demo").mkdir()
    (folder / "demo" / "miniature.json").write_text("{}")
    return folder


def test_of_every_command_it_is_known_whether_it_writes_into_a_folder():
    assert sorted([*WRITES, *ONE_FILE_OR_NONE]) == sorted(COMMANDS)


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_command_that_comes_second_is_told_who_is_at_work_and_changes_nothing(ground, monkeypatch, way):
    monkeypatch.chdir(ground)
    before = state(ground)
    with way.hold(ground / way.folder):
        result = CliRunner().invoke(road, way.words.split())
    assert isinstance(result.exception, InUseError), result.output
    assert f"process {os.getpid()} (" in str(result.exception) and "wait for it" in str(result.exception)
    assert state(ground) == before


@pytest.mark.parametrize("way", EVERY_WAY)
def test_the_lock_of_a_machine_that_cannot_be_asked_is_respected(ground, monkeypatch, way):
    monkeypatch.chdir(ground)
    here = socket.gethostname()
    with way.hold(ground / way.folder):
        monkeypatch.setattr(socket, "gethostname", lambda: "node17")
        before = state(ground)
        result = CliRunner().invoke(road, way.words.split())
        assert isinstance(result.exception, InUseError), result.output
        assert f"on {here}" in str(result.exception) and "and nothing else" in str(result.exception)
        assert state(ground) == before
