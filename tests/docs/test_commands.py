"""Every block of README and manual is run on a miniature (``test_walk``), or says what it needs; its options are there."""

import shlex

import click
import pytest

from sae_merge_method.cli.main import road
from tests.docs.blocks import LANGUAGES, MARKS, blocks


def test_a_block_is_run_or_says_what_it_needs():
    for block in blocks():
        assert block.language in LANGUAGES, f"{block.page}: ```{block.language}"
        assert not block.title or block.title.startswith(MARKS), f"{block.page}: {block.title}"


def _typed():
    """The commands of ours that no test runs, as words."""
    for block in blocks("sh"):
        lines = [] if block.runs else block.text.replace("\\\n", " ").splitlines()
        for words in (shlex.split(line, comments=True) for line in lines):
            if words[:1] == ["sae-merge"]:
                yield pytest.param(words[1:], id=" ".join(words))


@pytest.mark.parametrize("words", list(_typed()))
def test_a_command_that_needs_more_has_options_that_there_are(words):
    command: click.Command = road
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words[0]) or pytest.fail(words[0])
        words = words[1:]
    context = click.Context(command)
    values, _, _ = command.make_parser(context).parse_args(list(words))
    for param in command.params:
        assert param.name in values or not param.required, param.name
        if values.get(param.name) is not None and not isinstance(param.type, click.Path):
            param.type_cast_value(context, values[param.name])
