"""Options that are made from a settings record."""

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.cli.record_options import record_options


class Settings(Record):
    """What a command of these tests takes."""

    weights: tuple[float, ...] = (0.25, 0.5)
    """Weights."""
    rank: int = Field(default=4, ge=1)
    """Features."""
    base: str
    """Base model."""


def _command(**how):
    @click.command(context_settings={"show_default": True})
    @record_options(Settings, **how)
    def command(**options):
        click.echo(repr(options))

    return command


def _said(arguments, **how):
    done = CliRunner().invoke(_command(**how), arguments, catch_exceptions=False)
    return " ".join(done.output.split())


def test_a_list_is_shown_as_it_is_typed():
    assert "--weights TEXT Weights. [default: 0.25,0.5]" in _said(["--help"])


def test_what_must_be_given_stands_first_and_says_where_it_may_be_given():
    here, file = _said(["--help"]), _said(["--help"], from_file=True)
    assert here.index("--base TEXT Base model. [required]") < here.index("--weights")
    assert file.index("--base TEXT Base model. [required, here or in --config]") < file.index("--weights")


@pytest.mark.parametrize("typed", [[], ["--weights", "0.25,0.5"], ["--weights", "0.25", "--weights", "0.5"]])
def test_a_list_is_the_same_by_default_with_commas_or_repeated(typed):
    assert "'weights': ('0.25', '0.5')" in _said(["--base", "b", *typed])
