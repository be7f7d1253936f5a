"""The whole demo on a miniature of a few thousand tokens: real commands, real hosts, laws and no gains."""

import shutil
import sys

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.experiment import read_experiment
from sae_merge_method.cli.demo import command
from sae_merge_method.errors import UsageError
from sae_merge_method.miniature.demo import (
    SETTINGS_FILE,
    CommandError,
    Demo,
    make_miniature,
    run_command,
    run_demo,
)
from sae_merge_method.miniature.seeds import run_seeds

OPTIONS = ("--random-layers", "1", "--workers", "0")


@pytest.fixture(scope="module")
def demo(tmp_path_factory, tiny_cache, tiny_miniature, tiny_settings, warm_python):
    out = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tiny_cache))
        patch.setattr(sys, "executable", str(warm_python))  # beside it are the commands
        make_miniature(out, tiny_settings)
        shorten_answers(out / SETTINGS_FILE)
        yield out, run_demo(tiny_settings, out, options=OPTIONS)


def shorten_answers(file):
    """As who edits the file may do: who has learned nothing never ends an answer, and each costs seconds."""
    settings = file.read_text()
    file.write_text(settings.replace("\nevaluation:\n", "\nevaluation:\n  gen_kwargs: {max_gen_toks: 3}\n"))
    assert file.read_text() != settings


def _stamps(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_the_demo_is_an_experiment_with_every_arm_done(demo, tiny_settings):
    out, done = demo
    experiment = read_experiment(out / "experiment")
    assert not experiment.missing and not done.made
    assert {arm.name for arm in experiment.arms} == {
        "base", "donor", "stethoscope", "all-layers", "all-layers-damped", "random-layers-0", "depth-matched",
        "largest-task-vector", "lowest-specificity", "scalpel", "scalpel-random", "stethoscope-energy-matched",
    }  # fmt: skip
    assert all(arm.overall.n == 7 * tiny_settings.problems_per_subject for arm in experiment.arms)
    assert all(len(arm.subjects) == 7 and arm.general is not None for arm in experiment.arms)


def test_everything_it_was_made_of_and_came_to_lies_in_its_folder(demo):
    out, _ = demo
    for file in ("base/model.safetensors", "experiment.yml"):
        assert (out / file).is_file(), file
    for file in ("diagnosis/diagnosis.html", "arms/stethoscope/edit_report.json", "experiment.html"):
        assert (out / "experiment" / file).is_file(), file


def test_the_command_says_where_to_look_and_how_to_go_on_from_where_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.setattr("sae_merge_method.miniature.demo.run_demo", lambda *_, **__: Demo((), 0.0, 1.0))
    *_, look, go_on = CliRunner().invoke(command, ["--out", str(tmp_path)]).output.splitlines()
    assert look == f"To look at: {tmp_path / 'experiment' / 'experiment.html'}"
    assert go_on == f"To go on: cd {tmp_path}; sae-merge tune tune.yml --out tuned/"


def test_what_one_of_several_seeds_has_done_stays_and_is_counted(demo, tmp_path, tiny_settings):
    out, _ = demo
    folder = shutil.copytree(out, tmp_path / f"seed-{tiny_settings.seed}")
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("results_*.json")}
    over = run_seeds(tiny_settings, tmp_path, 1, options=OPTIONS)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("results_*.json")} == before
    assert list(over.experiments) == [tiny_settings.seed]
    table = (tmp_path / "claims.md").read_text()
    assert "| the edit improves what is evaluated |" in table and over.picks in table


def test_a_demo_of_other_settings_is_refused_and_left_alone(demo):
    out, _ = demo
    before = _stamps(out)
    result = CliRunner().invoke(command, ["--out", str(out), "--seed", "7"])
    assert isinstance(result.exception, UsageError)
    assert "--overwrite" in str(result.exception)
    assert _stamps(out) == before


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_folder_of_something_else_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    result = CliRunner().invoke(command, ["--out", str(tmp_path), *overwrite])
    assert isinstance(result.exception, UsageError)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failing_command_is_named_and_says_itself_why(tmp_path, capfd):
    with pytest.raises(CommandError, match=r"exit code 2(.|\n)*sae-merge merge"):
        run_command(tmp_path, ["sae-merge", "merge", "missing.yml", "out"])
    assert "missing.yml" in capfd.readouterr().err


def test_a_command_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(CommandError, match="no-such-command"):
        run_command(tmp_path, ["no-such-command"])
