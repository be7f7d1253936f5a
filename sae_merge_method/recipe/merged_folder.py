"""A merged folder, opened: its weights, the recipe they were made by, and its edit report."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.recipe import RECIPE_FILE, Recipe, read_recipe_text
from sae_merge_method.layers import Unit
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.recipe.resolved import ResolvedRecipe


@dataclass(frozen=True)
class MergedFolder:
    """What a merge left."""

    folder: Path
    resolved: ResolvedRecipe
    """Its recipe; the checkpoint itself stands for the base, which need not be at hand."""
    report: EditReport | None
    """None for plain mergekit-yaml output."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The merged weights."""
        return self.resolved.base

    @property
    def recipe_text(self) -> str:
        """The recipe's YAML."""
        return self.resolved.text

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.resolved.recipe

    @property
    def donors(self) -> tuple[str, ...]:
        """The models beside the base, as the recipe names them, in its order."""
        return donors_of(self.recipe)

    @cached_property
    def layers(self) -> tuple[Unit, ...]:
        """The selected layers and parts of layers: those of the report, or without one those of the recipe.

        Raises:
            SaeMergeError: There is no report, and the recipe's gate cannot be resolved.
        """
        return self.report.layers if self.report is not None else self.resolved.layers


def open_merged(folder: Path) -> MergedFolder:
    """Open a folder that ``sae-merge merge`` or ``mergekit-yaml`` wrote.

    Raises:
        SaeMergeError: It is no such folder.
    """
    checkpoint = open_checkpoint(folder)
    text, where = read_recipe_text(folder / RECIPE_FILE), str(folder / RECIPE_FILE)
    recipe = parse_recipe(text, where)
    report = read_edit_report(folder) if (folder / REPORT_FILE).exists() else None
    return MergedFolder(folder, ResolvedRecipe(text, where, recipe, checkpoint), report)
