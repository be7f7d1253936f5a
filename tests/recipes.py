"""Recipes of tests, as a user would write them."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.merge.run import merge
from sae_merge_method.merge.settings import MergeSettings


def recipe_text(
    base: Path, donor: Path, gate: str = 'layers: "1, 3"', weight: str = "1.0", tail: str = ""
) -> str:
    """The recipe's plain ``models:`` form."""
    return f"""\
merge_method: sae_stethoscope
base_model: {base}
models:
  - model: {donor}
    parameters: {{weight: {weight}}}
parameters: {{{gate}}}
{tail}"""


def run_recipe(
    text: str,
    out: Path,
    *,
    options: dict[str, object] | None = None,
    overwrite: bool = False,
    allow_mismatch: Collection[str] = (),
    **settings: Any,
) -> EditReport:
    """Merge by a recipe's text, without progress bars and without waiting for the disk."""
    return merge(
        RecipeText(text, "recipe.yml"),
        out,
        MergeSettings(**{"sync": False, **settings}),
        overwrite=overwrite,
        options={"quiet": True} | (options or {}),
        allow_mismatch=allow_mismatch,
    )
