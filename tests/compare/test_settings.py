"""The settings are the options of ``sae-merge compare``, declared once."""

import pytest
from pydantic import ValidationError

from sae_merge_method.cli.compare import command
from sae_merge_method.compare.settings import CompareSettings


def test_a_command_without_options_has_the_settings_of_a_call_without_arguments() -> None:
    options = command.make_context("compare", ["base", "edited"]).params
    assert (
        CompareSettings(**{name: options[name] for name in CompareSettings.model_fields}) == CompareSettings()
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": "t_test"}, "expected one of auto, lm_eval, pooled"),
        ({"correction": "bonferroni"}, "expected one of holm, bh, none"),
        ({"alpha": 0}, "greater than 0"),
        ({"alpha": 1}, "less than 1"),
        ({"margin": 0}, "greater than 0"),
        ({"max_loss": 0}, "greater than 0"),
        ({"draws": -1}, "greater than or equal to 0"),
        ({"metrics": "acc"}, "Extra inputs"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CompareSettings.model_validate(settings)
