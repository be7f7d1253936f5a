"""What commands print reaches no terminal as anything but text: results, errors, log lines, warnings."""

import ast
import logging
import sys
import warnings
from pathlib import Path

import click
import pytest

from sae_merge_method.cli import main as cli
from sae_merge_method.cli.output import complain, show, show_log
from sae_merge_method.errors import ArtifactError

EVIL = "a\x1b[1A\x1b[2K\rproved\u202e\u200b\x9b"
SHOWN = r"a\x1b[1A\x1b[2K\rproved\u202e\u200b\x9b"


def test_what_is_printed_has_its_lines_and_nothing_that_is_not_seen(capsys):
    show(f"{EVIL}\nb", nl=False)
    show(Path("c\u2066"), err=True)
    printed = capsys.readouterr()
    assert printed.out == f"{SHOWN}\nb"
    assert printed.err == "c\\u2066\n"


def test_a_line_break_in_a_message_begins_no_line_of_ours(capsys):
    complain("Error: expected x:\n  at y\n\nsae-merge: all proved")
    assert capsys.readouterr().err == "Error: expected x:\n  at y\n\n  sae-merge: all proved\n"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command that ends as told; gives what it printed on stderr."""

    def _run(error):
        def body(**kwargs):
            raise error

        monkeypatch.setattr(cli.road, "main", body)
        monkeypatch.setattr(cli.signal, "signal", lambda *given: None)
        with pytest.raises(SystemExit) as left:
            cli.main()
        logging.captureWarnings(False)
        assert left.value.code
        return capsys.readouterr().err

    return _run


@pytest.mark.parametrize(
    "error",
    [
        ArtifactError(EVIL),
        click.UsageError(EVIL),
        click.ClickException(EVIL),
        FileNotFoundError(2, "No such file", EVIL),
        ValueError(EVIL),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_steers_the_terminal(run, error):
    said = run(error)
    assert r"\rproved\u202e\u200b\x9b" in said
    assert said.replace("\n", "").isprintable()


def test_no_log_line_or_warning_steers_the_terminal(monkeypatch, capsys):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logging.captureWarnings(False)
    show_log()
    try:
        logging.getLogger("sae_merge_method.x").info("reading %s", EVIL)
        logging.getLogger("mergekit").warning("%s", EVIL)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(EVIL, UserWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
        sys.stderr.flush()
    lines = capsys.readouterr().err
    assert lines.count(SHOWN) >= 3
    assert f"Warning: {SHOWN}" in lines
    assert lines.replace("\n", "").isprintable()


def test_every_command_prints_through_the_one_door():
    folder = Path(cli.__file__).parent
    for file in sorted(folder.glob("*.py")):
        called = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        allowed = {"click.echo"} if file.name == "output.py" else set()
        assert not called & {"print", "click.echo", "click.secho", "sys.stdout.write"} - allowed, file.name
