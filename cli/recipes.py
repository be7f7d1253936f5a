"""``sae-merge recipes``: list the ready-made recipes and settings, or copy one out."""

from pathlib import Path

import click

from sae_merge_method.cli.output import show
from sae_merge_method.errors import UsageError
from sae_merge_method.files.writing import require_no_file, write_text
from sae_merge_method.recipes import ready_file, ready_files, ready_for
from sae_merge_method.reports.grid import as_text, plain_grid

_STANDARD_OUTPUT = Path("-")


@click.command("recipes")
@click.argument("name", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File to copy it to, - for standard output  [default: NAME.yml in this folder, with - for /]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--for",
    "model",
    metavar="MODEL",
    help="List only what fits a model: a Hub id, or a folder (by its config).",
)
def command(name: str | None, out: Path | None, overwrite: bool, model: str | None) -> None:
    """List the ready-made recipes by model, or copy the one called NAME out to edit and run it.

    Those called diagnose/... are files for sae-merge diagnose --config, those called experiment/... for
    sae-merge experiment run, those called tune/... for sae-merge tune.
    """
    if name is None:
        if out is not None:
            raise UsageError("--out needs the NAME of the recipe to copy")
        fitting = ready_for(model) if model is not None else None
        columns = ("name", "model", "what it is")
        listed = ready_files() if fitting is None else fitting.files
        rows = [(file.name, file.model, file.summary) for file in listed]
        show(as_text(plain_grid(columns, rows, words=columns)))
        if fitting is not None:
            show(f"\n{fitting.why}")
        return
    if model is not None:
        raise UsageError("--for lists what fits a model: leave out NAME")
    ready = ready_file(name)
    if out == _STANDARD_OUTPUT:
        show(ready.text, nl=False)
        return
    out = out or Path(ready.file_name)
    if not overwrite:
        require_no_file(out)
    write_text(out, ready.text)
    show(str(out))
