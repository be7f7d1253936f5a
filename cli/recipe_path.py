"""A recipe as the commands take it: a file, or one on the Hub, fetched into the Hub's own cache."""

from pathlib import Path
from typing import Any

import click
from typing_extensions import override


class RecipePath(click.Path):
    """An existing file, or ``hf://OWNER/NAME[@REVISION]/FILE``; either way the command gets a path."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, exists=True)

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str):
            from sae_merge_method.models.repository import local_file

            value = local_file(value)
        return super().convert(value, param, ctx)
