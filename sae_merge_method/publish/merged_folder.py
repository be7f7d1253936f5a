"""A merged folder as a card or a rebuild sees it: its recipe, its report, the layers that were edited."""

from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.recipe import Recipe, read_recipe_text
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.recipe.resolved import ResolvedRecipe

RECIPE_FILE = "mergekit_config.yml"


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
    def layers(self) -> tuple[int, ...]:
        """The selected layers."""
        return self.resolved.layers

    @property
    def donors(self) -> tuple[str, ...]:
        """The models beside the base, as the recipe names them, in its order."""
        return donors_of(self.recipe)


def open_merged(folder: Path) -> MergedFolder:
    """Read a folder that ``sae-merge merge`` or ``mergekit-yaml`` wrote.

    Raises:
        SaeMergeError: It is no such folder.
    """
    text, where = read_recipe_text(folder / RECIPE_FILE), str(folder / RECIPE_FILE)
    recipe = parse_recipe(text, where)
    checkpoint = open_checkpoint(folder)
    report = read_edit_report(folder) if (folder / REPORT_FILE).exists() else None
    resolved = ResolvedRecipe(text, where, recipe, checkpoint, report.layers if report else None)
    _ = resolved.layers  # a gate that cannot be resolved is found here
    return MergedFolder(folder, resolved, report)
