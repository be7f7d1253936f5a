"""``sae-merge doctor``: print the findings, each problem with its cure, and fail if there is one."""

import click

_COLUMN = 18


@click.command("doctor")
@click.pass_context
def command(context: click.Context) -> None:
    """Check this installation, and say how to mend it.

    Looked at are versions, whether both hosts see the plugin, device and cache. Both hosts are asked
    in a fresh interpreter, which takes some seconds. Exit code 1 if something is wrong.
    """
    from sae_merge_method.hosts.doctor import check_installation

    problems = 0
    for finding in check_installation():
        click.echo(f"{finding.subject:{_COLUMN}} {finding.state}")
        if finding.problem:
            problems += 1
            click.echo(f"{'':{_COLUMN}} problem: {finding.problem}")
            click.echo(f"{'':{_COLUMN}} to mend: {finding.mend}")
    click.echo(f"\n{problems} problem{'s' if problems > 1 else ''} found" if problems else "\nAll is well.")
    if problems:
        context.exit(1)
