"""``sae-merge recipes``: what is ready-made beside the merge recipes."""

from click.testing import CliRunner

from sae_merge_method.cli.recipes import command
from sae_merge_method.diagnose.settings import read_settings
from sae_merge_method.recipes import ready_configurations

SIZES = ("12b", "1b", "270m", "4b")


def test_diagnose_configurations_are_listed_with_what_they_are_for():
    lines = CliRunner().invoke(command, [], catch_exceptions=False).output.splitlines()
    listed = [line.split(maxsplit=1) for line in lines if line.startswith("diagnose/")]
    assert [name for name, _ in listed] == [f"diagnose/gemma-3-{size}-it" for size in SIZES]
    assert listed[3][1].startswith("Which layers of Gemma 3 4B IT are specific to mathematics")


def test_a_configuration_is_copied_out_under_the_name_its_own_comment_uses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for configuration in ready_configurations():
        result = CliRunner().invoke(command, [configuration.name], catch_exceptions=False)
        copy = tmp_path / result.output.strip()
        assert f"sae-merge diagnose --config {copy.name} --out diagnosis/" in copy.read_text()
        assert read_settings(copy, {}).model.startswith("google/gemma-3-")
