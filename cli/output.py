"""What the commands print, through one door: nothing of it steers the terminal.

Names, paths and text from files stand in it. What is not seen is shown as its code; line breaks, and what
is made for other programs, are the renderers' affair.
"""

import click

from sae_merge_method.reports.escape import terminal


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
