"""``sae-merge diagnose``: its options are its settings, and its help is quick."""

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
