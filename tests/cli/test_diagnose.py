"""``sae-merge diagnose``: its options are its settings, and its help is quick."""

import subprocess
import sys

import click
import pytest

from sae_merge_method.cli import diagnose, score
from sae_merge_method.diagnose.settings import DiagnoseSettings, ScoringSettings


@pytest.mark.parametrize(
    ("command", "settings"), [(diagnose.command, DiagnoseSettings), (score.command, ScoringSettings)]
)
def test_every_setting_is_an_option_with_help_of_its_own(command, settings):
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    assert set(settings.model_fields) <= set(options)
    for name in settings.model_fields:
        assert len(options[name].help.split()) >= 3, name


def test_help_is_shown_without_loading_torch_or_transformers():
    program = (
        "import sys; from sae_merge_method.cli.diagnose import command; "
        "command(['--help'], standalone_mode=False); "
        "print([name for name in ('torch', 'transformers', 'sae_lens', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
