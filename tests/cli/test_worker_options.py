"""The options of commands whose work several processes may share: the same of each, and refused before any work."""

import click
import pytest
from click.testing import CliRunner

from sae_merge_method.cli import attribute, diagnose, experiment, tune
from sae_merge_method.errors import UsageError
from sae_merge_method.together.places import WorkerSettings

SHARED = {"attribute": attribute.command, "diagnose": diagnose.command, "tune": tune.command}


@pytest.mark.parametrize("name", SHARED)
def test_each_has_the_options_of_an_experiment(name: str) -> None:
    ours, its = ({one.name: one for one in command.params} for command in (SHARED[name], experiment.run))
    for option in map(ours.get, WorkerSettings.model_fields):
        assert isinstance(option, click.Option) and option.help
        assert option.opts == its[option.name].opts


@pytest.mark.parametrize(
    "words, message",
    [
        (["--workers", "3", "--gpus", "0"], "each worker has its own gpus"),
        (["--ray", "auto", "--gpus", "0"], "with ray it is gpus_per_worker"),
        (["--gpus-per-worker", "1"], "belongs to ray"),
    ],
)
def test_ways_to_share_that_contradict_each_other_are_usage_errors(words: list[str], message: str) -> None:
    result = CliRunner().invoke(attribute.command, ["--out", "out", *words])
    assert isinstance(result.exception, UsageError) and message in str(result.exception)
