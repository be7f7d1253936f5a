"""What an audit can hold a checkpoint against: its recipe, its report, and the models it names.

Models that the recipe names are used where they are at hand, a folder or in the Hub's cache;
only those that the user names are downloaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport, read_edit_report
from sae_merge_method.artifacts.recipe import Recipe, read_recipe_text
from sae_merge_method.errors import ArtifactError, SaeError, UsageError
from sae_merge_method.layers import parse_layers
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.hub import folder_at_hand, open_model, parse_model_id
from sae_merge_method.recipe.methods import Filter, parse_recipe
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.preflight import check_donors
from sae_merge_method.recipe.resolved import ResolvedRecipe
from sae_merge_method.verify.ledger import Ledger

RECIPE_FILE = "mergekit_config.yml"


@dataclass(frozen=True)
class Sources:
    """Everything at hand for one audit."""

    merged: Checkpoint
    resolved: ResolvedRecipe
    """Its recipe; the checkpoint itself stands for the base, which need not be at hand."""
    report: EditReport | None
    base: Checkpoint | None
    plan: EditPlan | None
    """Who gives what, where edits can be computed anew."""
    donors: Mapping[str, Checkpoint]
    """By the recipe's names; empty when one of them is missing."""
    filter: Filter | None = None
    """What filters the task vectors, where the recipe's method does."""

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.resolved.recipe

    @property
    def layers(self) -> tuple[int, ...]:
        """The selected layers."""
        return self.resolved.layers


def gather(folder: Path, base: str | None, donors: Sequence[str], ledger: Ledger) -> Sources:
    """Open the checkpoint and all it can be held against.

    Args:
        folder: The merged checkpoint.
        base: Where the base lies, or None for where the recipe says.
        donors: Where the donors lie, in the recipe's order, or nothing for where it says.
        ledger: Takes what is not at hand.

    Raises:
        SaeMergeError: No recipe, or one that is not ours; nothing to hold the checkpoint against;
            a model that the user named cannot be had.
    """
    merged = open_checkpoint(folder)
    text, where = read_recipe_text(folder / RECIPE_FILE), str(folder / RECIPE_FILE)
    recipe = parse_recipe(text, where)
    report = read_edit_report(folder) if (folder / REPORT_FILE).exists() else None
    found = _open(recipe.base_model, base, "the base", ledger)
    if found is None and report is None:
        raise ArtifactError(
            f"{folder} has no {REPORT_FILE}, and its base {recipe.base_model} is not at hand: "
            "name it with --base"
        )
    resolved = _with_layers(ResolvedRecipe(text, where, recipe, merged), report, ledger)
    nothing = Sources(merged, resolved, report, found, None, {})
    try:
        plan, change = resolved.plan, resolved.filter
    except (SaeError, ArtifactError) as error:
        ledger.unproved.append(f"the edits of {recipe.merge_method}: {error}")
        return nothing
    opened = _donors(plan, found, donors, ledger)
    return replace(nothing, plan=plan, donors=opened, filter=change)


def _with_layers(resolved: ResolvedRecipe, report: EditReport | None, ledger: Ledger) -> ResolvedRecipe:
    gate = resolved.recipe.parameters
    try:
        return resolved.with_layers(resolved.layers)
    except ArtifactError as error:
        # A gate computed from a diagnosis that did not travel with the checkpoint.
        if gate.layers is not None:
            ledger.unproved.append(f"that {gate.select} chooses the layers: {error}")
            return resolved.with_layers(parse_layers(gate.layers, resolved.base.n_layers))
        if report is None:
            raise
        ledger.unproved.append(f"that {gate.select} chooses the layers of {REPORT_FILE}: {error}")
        return resolved.with_layers(report.layers)


def _donors(
    plan: EditPlan, base: Checkpoint | None, given: Sequence[str], ledger: Ledger
) -> dict[str, Checkpoint]:
    if given and len(given) != len(plan.donors):
        raise UsageError(
            f"the recipe has {len(plan.donors)} donors ({', '.join(plan.donors)}): "
            f"expected --donor for each, in this order, got {len(given)}"
        )
    if base is None:
        return {}
    places: Sequence[str | None] = given or [None] * len(plan.donors)
    opened = {
        name: _open(name, place, "the donor", ledger) for name, place in zip(plan.donors, places, strict=True)
    }
    donors = {name: donor for name, donor in opened.items() if donor is not None}
    if len(donors) < len(opened):
        return {}
    check_donors(plan, base, donors)
    return donors


def _open(name: str, given: str | None, what: str, ledger: Ledger) -> Checkpoint | None:
    if given is not None:
        return open_model(given)
    model = parse_model_id(name)
    folder = None if model.adapter else folder_at_hand(model)
    if folder is None:
        reason = "its adapter must be merged first" if model.adapter else "it is not at hand"
        ledger.unproved.append(f"what needs {what} {name}: {reason}")
        return None
    return open_checkpoint(folder)
