"""What the commands print, log lines included, through one door: nothing of it steers the terminal.

Names, paths and text from files stand in it. What is not seen is shown as its code; line breaks, and what
is made for other programs, are the renderers' affair.
"""

import logging

import click
from typing_extensions import override

from sae_merge_method.escape import terminal


def show(text: object, *, nl: bool = True, err: bool = False) -> None:
    """Print text.

    Args:
        text: Anything with a ``str``.
        nl: Whether to end the line.
        err: Print on stderr.
    """
    click.echo(terminal(str(text)), nl=nl, err=err)


def complain(text: str) -> None:
    """Print what is amiss on stderr; its further lines are indented, so that none passes for one of ours."""
    show(indented(text), err=True)


def indented(text: str) -> str:
    """The same with all lines but the first indented."""
    first, *others = text.split("\n")
    return "\n".join([first, *(line if line[:1] in ("", " ") else f"  {line}" for line in others)])


class _LineFormatter(logging.Formatter):
    """What is going on stands there as it is; what is amiss says so first, as errors do.

    Names and text from files stand in both: none of it steers the terminal.
    """

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = terminal(indented(super().format(record)))
        return line if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: {line}"


def show_log() -> None:
    """On stderr: our own progress and warnings, the hosts' warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("sae_merge_method").setLevel(logging.INFO)
    logging.captureWarnings(True)
