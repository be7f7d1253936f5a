"""``sae-merge doctor``: print the findings, each problem with its cure, and fail if there is one."""

from itertools import chain

import click

from sae_merge_method.cli.output import show
from sae_merge_method.escape import terminal_line

_COLUMN = 18


@click.command("doctor")
@click.option(
    "--model",
    help="Also look at a model, a folder or Hub id: does its tokenizer put begin-of-text before documents?",
)
@click.pass_context
def command(context: click.Context, model: str | None) -> None:
    """Check this installation, and say how to mend it.

    Looked at are versions, whether both hosts see the plugin, device and cache. Both hosts are asked
    in a fresh interpreter, which takes some seconds. Exit code 1 if something is wrong.
    """
    from sae_merge_method.hosts.doctor import check_installation, check_model

    problems = 0
    for finding in chain(check_installation(), check_model(model) if model else ()):
        show(f"{finding.subject:{_COLUMN}} {terminal_line(finding.state)}")
        if finding.problem:
            problems += 1
            show(f"{'':{_COLUMN}} problem: {terminal_line(finding.problem)}")
            show(f"{'':{_COLUMN}} to mend: {terminal_line(finding.mend)}")
    show(f"\n{problems} problem{'s' if problems > 1 else ''} found" if problems else "\nAll is well.")
    if problems:
        context.exit(1)
