"""A merged folder as a card or a rebuild sees it: its recipe, its report, the layers that were open."""

from dataclasses import dataclass
from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.recipe import Recipe, parse_recipe, read_recipe_text
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.recipe.gate import open_layers
from sae_merge_method.recipe.pin import donors_of

RECIPE_FILE = "mergekit_config.yml"


@dataclass(frozen=True)
class MergedFolder:
    """What a merge left."""

    folder: Path
    checkpoint: Checkpoint
    recipe_text: str
    recipe: Recipe
    report: EditReport | None
    """None for plain mergekit-yaml output."""
    layers: tuple[int, ...]
    """The open layers."""

    @property
    def donors(self) -> tuple[str, ...]:
        """The models beside the base, as the recipe names them, in its order."""
        return donors_of(self.recipe)


def open_merged(folder: Path) -> MergedFolder:
    """Read a folder that ``sae-merge merge`` or ``mergekit-yaml`` wrote.

    Raises:
        SaeMergeError: It is no such folder.
    """
    text = read_recipe_text(folder / RECIPE_FILE)
    recipe = parse_recipe(text, str(folder / RECIPE_FILE))
    checkpoint = open_checkpoint(folder)
    report = read_edit_report(folder) if (folder / REPORT_FILE).exists() else None
    gate = recipe.parameters
    if report is not None:
        layers = report.layers
    else:
        layers = open_layers(gate.layers, gate.diagnosis, gate.select, checkpoint.n_layers)
    return MergedFolder(folder, checkpoint, text, recipe, report, layers)
