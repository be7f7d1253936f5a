"""Write a recipe from a diagnosis: the layers decided, the donor named only where it is read."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sae_merge_method.artifacts.diagnosis import Units
from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.recipe import EVIDENCE_KEY, OutDtype, RoundingName, RoundingSeed
from sae_merge_method.artifacts.schema import Location, OneOf, Record
from sae_merge_method.errors import RecipeError
from sae_merge_method.files.writing import require_no_file, write_text
from sae_merge_method.layers import Unit, layers_of, named_units, open_parts
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.constants import AllowedMismatch
from sae_merge_method.models.hub import as_path, open_model
from sae_merge_method.models.rounding import DEFAULT, Rounding
from sae_merge_method.recipe.evidence import ScoreEvidence, of_attribution, of_diagnosis
from sae_merge_method.recipe.mergekit_form import guarded_form, recipe_text
from sae_merge_method.recipe.methods import METHODS, validated_parameters
from sae_merge_method.recipe.named_donors import dtype_lines, how_to_run, open_named
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.selection import RuleText, choose_layers, parse_rule
from sae_merge_method.spacing import adjacency

logger = logging.getLogger(__name__)


class RecipeSettings(Record):
    """What a recipe is made from: the options of ``sae-merge recipe``."""

    diagnosis: Location
    """Folder that sae-merge diagnose wrote, or its diagnosis.json; with --score one of sae-merge attribute,
    or its attribution.json."""
    base: Location
    """Base model, the diagnosed one: folder or Hub id[@revision]."""
    donor: Location
    """Donor model: folder, Hub id[@revision], or model+adapter."""
    select: RuleText = "top_k=3"
    """Rule that chooses the layers."""
    units: Units = "corrected"
    """Scores that the rule is applied to: corrected, less the mean of shuffled labels, or raw, which depend
    on the number of documents and on the SAE's width and L0."""
    score: str | None = None
    """A score that knows the donor, such as attributed_gain, of the attribution in that folder; the
    diagnosis' own unless given."""
    method: Annotated[str, OneOf(METHODS)] = "sae_stethoscope"
    """What is added in the layers chosen."""
    weight: float = 1.0
    """Alpha, the factor of the task vector."""
    rounding: RoundingName = DEFAULT
    rounding_seed: RoundingSeed = 0
    out_dtype: OutDtype = None
    allow_mismatch: AllowedMismatch = ()
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """The method's own parameters, by name; what it cannot do without is filled in."""


@dataclass(frozen=True)
class WrittenRecipe:
    """A recipe's text and the layers that it selects."""

    text: str
    """The recipe file's text."""
    layers: tuple[Unit, ...]
    """The selected layers, or parts of them, in the order of depth."""
    n_layers: int
    """Decoder layers of the base."""


def write_recipe(settings: RecipeSettings, out: str | Path, *, overwrite: bool = False) -> WrittenRecipe:
    """Choose layers and write the recipe file that edits them.

    Args:
        settings: What it is made from.
        out: The file.
        overwrite: Replace a file that stands there.

    Raises:
        UsageError: ``out`` exists.
        SaeMergeError: See :func:`make_recipe`.
    """
    if not overwrite:
        require_no_file(Path(out))
    recipe = make_recipe(settings)
    write_text(Path(out), recipe.text)
    return recipe


def make_recipe(settings: RecipeSettings) -> WrittenRecipe:
    """Choose layers and make the recipe that edits them, in memory.

    Raises:
        RecipeError: The diagnosis is of another model, the rule selects nothing, or the method does
            not know a parameter.
        SaeError: An SAE that the method needs cannot be read.
        MergeError: The donor is no fine-tune of the base, lacks a tensor of a selected layer, or has it in
            another shape; or its adapter does not fit it.
    """
    base = open_model(settings.base)
    evidence = _evidence(settings, base)
    rule, method = parse_rule(settings.select), METHODS[settings.method]
    layers = choose_layers(rule, evidence.scores, evidence.q_values)
    if not layers:
        raise RecipeError(f"{rule} selects no layer of {evidence.path}: nothing would be edited")
    parameters = method.completed(settings.parameters, evidence.diagnosis, evidence.d_model)
    validated = validated_parameters(settings.method, parameters)
    if method.filter is not None:
        method.filter(validated, layers_of(layers))  # finds all that it will read
    donation = Donation(as_path(settings.donor), ((None, settings.weight),))
    donations = dict.fromkeys(layers_of(layers), (donation,))
    rounding = Rounding(settings.rounding, settings.rounding_seed)
    base_name, parts = as_path(settings.base), open_parts(layers)
    plan = EditPlan(settings.method, base_name, donations, None, parameters, rounding, parts)
    donors = open_named(plan, base, settings.allow_mismatch)
    form = guarded_form(plan, base) | dtype_lines(plan, base, donors, settings.out_dtype)
    note = (
        f"{rule} of {evidence.score} chose {named_units(layers, base.n_layers)}, "
        f"{adjacency(layers)} ({evidence.kind}: {evidence.path}).",
        *evidence.overlaps(rule, layers),
        f"{method.effect}; everything else stays the base's.",
        *how_to_run(plan, base, donors.values()),
    )
    record = {EVIDENCE_KEY: evidence.record | {"select": str(rule)}}
    return WrittenRecipe(recipe_text(note, form, record), layers, base.n_layers)


def _evidence(settings: RecipeSettings, base: Checkpoint) -> ScoreEvidence:
    at = Path(settings.diagnosis)
    if settings.score is not None:
        return of_attribution(at, base, settings.base, settings.donor, settings.score)
    evidence = of_diagnosis(at, base, settings.base, settings.donor, settings.units)
    rule = parse_rule(settings.select)
    if settings.units != evidence.record["units"] and rule.needs("scores"):
        logger.warning("%s: no labels were shuffled, so layers are chosen by raw scores", evidence.path)
    return evidence
