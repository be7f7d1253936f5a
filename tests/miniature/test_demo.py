"""The whole demo on a miniature of a few thousand tokens: real commands, real hosts, laws and no gains."""

import json

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.cli.demo import command
from sae_merge_method.errors import UsageError
from sae_merge_method.miniature.arms import ARMS
from sae_merge_method.miniature.checkpoints import injected_energy, pair_tensors
from sae_merge_method.miniature.commands import CommandError, Commands
from sae_merge_method.miniature.demo import run_demo
from sae_merge_method.miniature.experiment import edit
from sae_merge_method.tensor_names import decoder_layer

ARMS_HERE = tuple(arm for arm in ARMS if arm.name in ("base", "stethoscope"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory, tiny_cache, tiny_miniature, tiny_settings):
    out = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tiny_cache))
        yield out, run_demo(tiny_settings, out, arms=ARMS_HERE)


def _stamps(folder):
    return {
        file: file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file() and file.name not in ("demo.json", "demo.md")
    }


def test_the_five_stages_leave_their_artifacts_and_the_table(demo, tiny_settings):
    out, report = demo
    assert [row.arm.name for row in report.rows] == ["base", "stethoscope"]
    assert all(row.accuracy.n == 7 * tiny_settings.problems_per_subject for row in report.rows)
    assert (out / "diagnosis" / "diagnosis.json").is_file()
    assert (out / "recipes" / "stethoscope.yml").is_file()
    assert (out / "merged" / "stethoscope" / "edit_report.json").is_file()
    assert list((out / "results" / "stethoscope").rglob("results_*.json"))
    compared = json.loads((out / "comparisons" / "stethoscope" / "comparison.json").read_text())
    assert len(compared["subjects"]) == 7
    assert json.loads((out / "demo.json").read_text())["rows"][1]["arm"]["name"] == "stethoscope"
    assert "| stethoscope |" in (out / "demo.md").read_text()


def test_the_energy_injected_is_the_merge_report_s_and_only_in_the_layers_said(demo):
    out, report = demo
    row = report.rows[1]
    merged = json.loads((out / "merged" / "stethoscope" / "edit_report.json").read_text())
    assert row.energy == pytest.approx(merged["energy"], rel=1e-6)
    assert row.layers == tuple(merged["layers"])
    whole = injected_energy(out / "base", out / "donor")
    assert row.energy_share == pytest.approx(row.energy / whole)
    layer_energy = {
        layer: sum(
            float((donor.double() - base.double()).square().sum())
            for name, base, donor in pair_tensors(out / "base", out / "donor")
            if decoder_layer(name) == layer
        )
        for layer in row.layers
    }
    assert row.energy == pytest.approx(sum(layer_energy.values()), rel=1e-6)


def test_a_finished_demo_is_not_run_again(demo, tiny_settings):
    out, report = demo
    before = _stamps(out)
    again = run_demo(tiny_settings, out, arms=ARMS_HERE)
    assert again.rows == report.rows
    assert _stamps(out) == before


def test_the_unedited_models_evaluations_come_from_the_cache_next_time(demo, tiny_cache):
    entries = [entry.name for entry in (tiny_cache / "sae-merge" / "miniature").iterdir()]
    assert sum(name.startswith("evaluation-") for name in entries) == 1


def test_the_projection_edits_the_same_layers_with_less_energy(demo):
    out, report = demo
    projected = next(arm for arm in ARMS if arm.edit == "projected")
    commands = Commands(out)
    done = edit(commands, projected, read_diagnosis(out / "diagnosis"), seed=0)
    assert done.layers == report.rows[1].layers
    assert done.kept is not None
    assert done.kept.energy == done.energy
    assert done.kept.of == pytest.approx(report.rows[1].energy, rel=1e-6)
    assert 0 < done.kept.share < 0.5
    assert done.kept.chance == pytest.approx(2 / 64)
    for name, base, edited in pair_tensors(out / "base", out / done.model):
        if decoder_layer(name) not in done.layers:
            assert base.equal(edited), name


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


def test_a_failing_command_says_which_and_why(tmp_path):
    with pytest.raises(CommandError, match=r"exit code 2(.|\n)*sae-merge merge(.|\n)*missing\.yml"):
        Commands(tmp_path).run("merge x", ["sae-merge", "merge", "missing.yml", "out"])


def test_a_command_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(CommandError, match="no-such-command"):
        Commands(tmp_path).run("x", ["no-such-command"])
