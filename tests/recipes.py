"""Recipes of tests, as a user would write them."""

from pathlib import Path


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
