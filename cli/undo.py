"""``sae-merge undo``: make a checkpoint that was edited in place the base again."""

from pathlib import Path

import click

from sae_merge_method.cli.output import show


@click.command("undo")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def command(folder: Path) -> None:
    """Restore the bytes that 'merge --in-place' overwrote in FOLDER.

    Works after a run that was killed half-way, too, and may itself be interrupted and run again.
    A README.md, recipe or report written after the edit is kept under another name.
    """
    from sae_merge_method.merge.undo import undo

    restored = undo(folder)
    show(f"{folder}: {restored} tensors restored, the base's bytes again")
