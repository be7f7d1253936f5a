"""The one entry point: its list of commands, its log lines, its errors."""

import importlib
import inspect
import logging
import pkgutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from sae_merge_method import cli
from sae_merge_method.cli.main import COMMANDS, HEADINGS, road


def test_every_command_is_listed_under_its_heading_with_the_first_sentence_of_its_own_help():
    listed = CliRunner().invoke(road, ["--help"], terminal_width=200).output.partition("--help")[2]
    lists = [part.splitlines() for part in listed.split("\n\n")[1:]]
    assert [heading for heading, *_ in lists] == [f"{heading}:" for heading in HEADINGS]
    lines = [[line.split(maxsplit=1) for line in inside] for _, *inside in lists]
    assert [tuple(name for name, _ in inside) for inside in lines] == list(HEADINGS.values())
    for name, sentence in (line for inside in lines for line in inside):
        command = importlib.import_module(f"sae_merge_method.cli.{name.replace('-', '_')}").command
        assert command.name == name
        help_text = inspect.cleandoc(command.help)
        assert sentence == help_text.partition("\n\n")[0]


def test_no_group_of_commands_shows_a_sentence_that_is_cut():
    for name in COMMANDS:
        command = importlib.import_module(f"sae_merge_method.cli.{name.replace('-', '_')}").command
        if isinstance(command, click.Group):
            shown = CliRunner().invoke(command, ["--help"], terminal_width=80).output
            assert "...\n" not in shown.partition("Commands:\n")[2].partition("\n\n")[0]


def test_no_command_is_forgotten_in_the_list():
    modules = [
        importlib.import_module(f"{cli.__name__}.{one.name}") for one in pkgutil.iter_modules(cli.__path__)
    ]
    named = {module.__doc__.split("``")[1] for module in modules if module.__doc__.startswith("``sae-merge ")}
    assert {name.split()[1] for name in named} == set(COMMANDS)


@pytest.mark.parametrize(
    ("commands", "heavy"),
    [
        ([[]], ("numpy", "pydantic", "torch")),  # the list of them imports none
        ([[name] for name in COMMANDS], ("sae_lens", "scipy", "torch", "transformers")),
    ],
    ids=["list", "commands"],
)
def test_help_is_shown_without_loading_what_only_work_needs(commands, heavy):
    program = f"""
import sys
from sae_merge_method.cli.main import road
loaded = []
for words in {commands}:
    road([*words, "--help"], standalone_mode=False)
    loaded += [(words, name) for name in {heavy} if name in sys.modules]
print(loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_warnings_stand_out_from_what_is_going_on_and_hosts_chatter_stays_away():
    program = """
import logging
from sae_merge_method.cli import output
output.show_log()
logging.getLogger("sae_merge_method.merge").info("one arm is done")
logging.getLogger("sae_merge_method.merge").warning("the cache is damaged")
logging.getLogger("some_host").info("chatter")
logging.getLogger("some_host").warning("deprecated")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "one arm is done",
        "Warning: the cache is damaged",
        "Warning: deprecated",
    ]


def test_a_command_that_is_called_from_python_leaves_logging_alone():
    handlers = list(logging.getLogger().handlers)
    CliRunner().invoke(road, ["tasks-path"])
    assert logging.getLogger().handlers == handlers
