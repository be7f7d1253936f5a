"""A recipe on its base: the one way from YAML text to selected layers, a diagnosis that fits, and a plan.

Every command that takes a recipe goes this way. Donors are not opened here: one with an adapter has
to be merged first, and lives only as long as somebody needs it (see ``recipe.donors``).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE
from sae_merge_method.artifacts.recipe import AnyRecipe, Recipe, RecipeText, read_recipe_text
from sae_merge_method.errors import RecipeError
from sae_merge_method.layers import Unit, layers_of
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import open_model
from sae_merge_method.models.repository import local_file
from sae_merge_method.recipe.diagnosed import (
    Diagnosed,
    OpenedAttribution,
    OpenedDiagnosis,
    open_attribution,
    open_diagnosis,
    recorded_model,
    require_diagnosed,
)
from sae_merge_method.recipe.gate import selected_layers
from sae_merge_method.recipe.methods import Filter, filter_of, parse_recipe
from sae_merge_method.recipe.pin import donors_of
from sae_merge_method.recipe.plan import EditPlan, plan_edit


@dataclass(frozen=True)
class ResolvedRecipe:
    """What a recipe means on its base.

    Each part is looked up when it is first asked for, and kept; :meth:`checked` asks for all of them.
    So whoever can go on without a part, as an audit can without the SAEs, asks for it alone.
    """

    text: str
    """The YAML, as the user wrote it."""
    where: str
    """How messages name the recipe."""
    recipe: Recipe
    """The same, parsed."""
    base: Checkpoint
    """The base, or where that is not at hand a checkpoint that was merged from it."""
    known_layers: tuple[Unit, ...] | None = None
    """What is selected, where it is known from an edit report rather than to be read off the gate."""

    @cached_property
    def layers(self) -> tuple[Unit, ...]:
        """The selected layers and parts of layers, in the order of depth and at least one.

        Raises:
            SaeMergeError: See :func:`~sae_merge_method.recipe.gate.selected_layers`.
        """
        if self.known_layers is not None:
            return self.known_layers
        return selected_layers(self.recipe.parameters, self.base.n_layers)

    @cached_property
    def attribution(self) -> OpenedAttribution | None:
        """The attribution whose score computes the gate, known to be of this base; None for none.

        Raises:
            ArtifactError: It cannot be read.
            RecipeError: It is of another model.
        """
        gate = self.recipe.parameters
        if gate.diagnosis is None or gate.score is None:
            return None
        return open_attribution(
            Path(gate.diagnosis), self.base, self.recipe.base_model, donors_of(self.recipe)
        )

    @cached_property
    def diagnosis(self) -> OpenedDiagnosis | None:
        """The diagnosis that the recipe's parameters name, or the one beside the attribution they name, known
        to be of this base; None for none.

        Raises:
            ArtifactError: It cannot be read.
            RecipeError: It is of another model.
        """
        named = self.recipe.parameters.diagnosis
        if self.attribution is None:
            return None if named is None else self._of_base(Path(named))
        beside = self.attribution.path.parent / DIAGNOSIS_FILE
        return self._of_base(beside) if beside.is_file() else None

    @cached_property
    def recorded(self) -> Diagnosed | None:
        """The model that its ``sae_evidence`` says its scores are of, known to be the base; None for none.

        Raises:
            RecipeError: It is another model, or cannot be read.
        """
        diagnosed = recorded_model(self.recipe.sae_evidence, self.where)
        if diagnosed is not None:
            require_diagnosed(diagnosed, self.base, self.recipe.base_model, donors_of(self.recipe))
        return diagnosed

    @cached_property
    def plan(self) -> EditPlan:
        """Who gives what to which layer; a method that only scales is folded into the weights.

        Raises:
            RecipeError: A selected layer has no donor, or slices move the base's layers.
        """
        return plan_edit(self.recipe, self.layers, self.base.n_layers)

    @cached_property
    def filter(self) -> Filter | None:
        """What the merge method makes of task vectors; None where they are added as they are.

        Raises:
            SaeMergeError: Something that the method reads, such as an SAE, is missing or does not fit.
        """
        return filter_of(self.recipe, layers_of(self.layers))

    def checked(self) -> "ResolvedRecipe":
        """The same recipe, once every part of it is looked up.

        Raises:
            SaeMergeError: The first part that is wrong.
        """
        _ = self.layers, self.attribution, self.diagnosis, self.recorded, self.plan, self.filter
        return self

    def with_layers(self, layers: tuple[Unit, ...]) -> "ResolvedRecipe":
        """The same with these layers in place of what its gate says."""
        return replace(self, known_layers=layers)

    def any_diagnosis(self, instead: Path | None = None) -> OpenedDiagnosis:
        """A diagnosis of this base: ``instead``, the one its parameters name, or the one it was made from.

        Raises:
            ArtifactError: It cannot be read.
            RecipeError: The recipe names none and none is given, or it is of another model.
        """
        if instead is not None:
            return self._of_base(instead)
        if self.diagnosis is not None:
            return self.diagnosis
        recorded = (self.recipe.sae_evidence or {}).get("path")
        if recorded is None:
            raise RecipeError(
                f"{self.where} does not say which diagnosis it was made from: name it with --diagnosis"
            )
        return self._of_base(Path(str(recorded)))

    def _of_base(self, at: Path) -> OpenedDiagnosis:
        return open_diagnosis(at, self.base, self.recipe.base_model, donors_of(self.recipe))


def read_recipe(recipe: AnyRecipe) -> RecipeText:
    """A recipe's text, fetched from the Hub where it has to be.

    Raises:
        UsageError: A malformed hf:// address.
        ModelError: The Hub does not give the file.
        ArtifactError: There is no such file, or it is not UTF-8.
    """
    if isinstance(recipe, RecipeText):
        return recipe
    return RecipeText(read_recipe_text(local_file(recipe), by_user=True), str(recipe))


def open_recipe(recipe: AnyRecipe, cache_dir: str | None = None) -> ResolvedRecipe:
    """Parse a recipe and open its base; no other part is looked up yet.

    Args:
        recipe: Its file, its address on the Hub, or what it holds.
        cache_dir: The Hub's cache for models, where it is not the usual one.

    Raises:
        RecipeError: The recipe cannot be read.
        UsageError: The base is to be made with an adapter.
        ModelError: The base cannot be had.
    """
    text, where = read_recipe(recipe)
    parsed = parse_recipe(text, where)
    return ResolvedRecipe(text, where, parsed, open_model(parsed.base_model, cache_dir))


def resolve_recipe(recipe: AnyRecipe, cache_dir: str | None = None) -> ResolvedRecipe:
    """Parse a recipe, open its base, and look up everything else that needs no donor.

    Args:
        recipe: Its file, its address on the Hub, or what it holds.
        cache_dir: The Hub's cache for models, where it is not the usual one.

    Raises:
        SaeMergeError: Anything that can be known to be wrong without the donors.
    """
    return open_recipe(recipe, cache_dir).checked()
