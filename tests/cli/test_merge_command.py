"""``sae-merge merge`` as a user types it."""

import subprocess

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.merge import command
from sae_merge_method.cli.mergekit_options import _FLAGS, _VALUES, LEFT_OUT
from tests import tiny
from tests.recipes import recipe_text


def test_every_option_of_mergekit_is_there_or_left_out_on_purpose():
    from mergekit.options import MergeOptions

    ours = {*_FLAGS, *_VALUES, *LEFT_OUT, "gpu_rich", "verbosity"}
    assert ours == set(MergeOptions.model_fields)


def test_mergekits_options_pass_through_to_mergekit(tmp_path, monkeypatch):
    base = tiny.gemma3_text(tmp_path / "base", 0)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    (tmp_path / "recipe.yml").write_text(recipe_text(base, donor))
    monkeypatch.chdir(tmp_path)
    words = ["recipe.yml", "out", "--out-shard-size", "2k", "--no-write-model-card", "--async-write"]
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "layers 1, 3: 26 of 54 tensors edited" in result.output
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 2
    assert not (tmp_path / "out" / "README.md").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["merge"], 2, "Missing argument 'RECIPE'"),
        (["merge", "nowhere.yml", "out"], 2, "File 'nowhere.yml' does not exist"),
        (["merge", "recipe.yml", "out", "--out-shard-size", "much"], 2, "expected a size such as 500M or 5B"),
        (["merge", "recipe.yml", "out", "--trust-remote-code"], 2, "No such option"),
        (
            ["merge", "recipe.yml", "out"],
            1,
            "expected a model folder or a Hub id, and there is no folder ./nobase",
        ),
        (["merge", "binary.yml", "out"], 1, "expected a recipe (YAML, UTF-8) at binary.yml"),
        (["merge", "list.yml", "out"], 1, "expected a mergekit recipe at list.yml, got list"),
        (["megre"], 2, "No such command 'megre'"),
        (
            ["recipes", "nothing"],
            2,
            "no ready-made recipe 'nothing': expected one of diagnose/gemma-3-270m, ",
        ),
    ],
)
def test_bad_input_is_told_in_one_message_without_a_traceback(tmp_path, warm_python, words, code, message):
    (tmp_path / "recipe.yml").write_text(
        "merge_method: sae_stethoscope\nbase_model: ./nobase\nmodels: [{model: ./d}]\nparameters: {layers: '1'}\n"
    )
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "list.yml").write_text("- 1\n")
    command = [str(warm_python.with_name("sae-merge")), *words]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["r.yml"], "Missing argument 'OUT'"),
        (["r.yml", "--in-place", "--overwrite"], "--in-place writes into the base itself"),
        (["r.yml", "--in-place", "--no-sync"], "--no-sync do not apply"),
        (["r.yml", "out", "--engine", "fast"], "'fast' is not one of 'direct', 'mergekit'"),
    ],
)
def test_contradictions_are_usage_errors(tmp_path, base, donor, words, message):
    (tmp_path / "r.yml").write_text(recipe_text(base, donor))
    result = CliRunner().invoke(
        command, [str(tmp_path / word) if word == "r.yml" else word for word in words]
    )
    assert result.exit_code == 2
    assert message in result.output
