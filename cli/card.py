"""``sae-merge card``: the Hub model card of a merged folder."""

from pathlib import Path
from typing import Any

import click

from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.cli.output import show
from sae_merge_method.cli.record_options import record_options
from sae_merge_method.publish.settings import CardSettings


@click.command("card")
@click.argument("checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False))
@record_options(CardSettings)
def command(checkpoint: Path, **options: Any) -> None:
    """Write the model card of a merged folder, ready for the Hub.

    It is CHECKPOINT's README.md. mergekit's own section, and whatever else stands there, is kept; a
    second run renews what the first one wrote, and keeps what was measured on the same checkpoint. Only
    what was measured on this very checkpoint is taken. The licence is yours or the base's, never a
    guess. Then:

    \b
        hf upload OWNER/NAME CHECKPOINT --exclude ".sae-merge-journal/*"

    What is left out there is what an edit in place keeps of the base, for sae-merge undo.
    """
    from sae_merge_method.publish.card import write_card

    show(write_card(checkpoint, read_settings(CardSettings, options)))
