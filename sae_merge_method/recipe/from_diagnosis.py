"""Write a recipe from a diagnosis: the layers decided, the donor named only where it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.recipe import DIAGNOSIS_KEY
from sae_merge_method.errors import RecipeError
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import as_path, open_model, parse_model_id
from sae_merge_method.models.mergekit_layout import module_names, why_not_plain
from sae_merge_method.recipe.mergekit_form import guarded_form, recipe_text
from sae_merge_method.recipe.methods import method_named, validated_parameters
from sae_merge_method.recipe.plan import Donation, EditPlan
from sae_merge_method.recipe.preflight import check_donors, open_diagnosis, output_dtype
from sae_merge_method.selection import SelectionRule, select_layers


@dataclass(frozen=True)
class WrittenRecipe:
    """A recipe's text and the layers it opens."""

    text: str
    layers: tuple[int, ...]
    n_layers: int


def write_recipe(
    diagnosis_at: Path,
    base_name: str,
    donor_name: str,
    rule: SelectionRule,
    *,
    weight: float = 1.0,
    method: str = "sae_stethoscope",
    parameters: Mapping[str, Scalar] | None = None,
) -> WrittenRecipe:
    """Choose layers and write the recipe that edits them.

    Args:
        diagnosis_at: Diagnosis file or folder.
        base_name: Base model, as it shall stand in the recipe.
        donor_name: Donor model (``model+adapter`` works too), likewise.
        rule: How to choose the layers from the scores.
        weight: Alpha, the factor of the task vector.
        method: Name of the merge method.
        parameters: The method's own; what it cannot do without is filled in.

    Raises:
        RecipeError: The diagnosis is of another model, the rule selects nothing, or the method does
            not know a parameter.
        SaeError: An SAE that the method needs cannot be read.
        MergeError: The donor lacks a tensor of a selected layer, or has it in another shape.
    """
    base = open_model(base_name)
    path, diagnosis = open_diagnosis(diagnosis_at, base, base_name)
    layers = select_layers(rule, diagnosis.scores(), diagnosis.q_values())
    if not layers:
        raise RecipeError(f"{rule} selects no layer of {path}: nothing would be edited")
    donation = Donation(as_path(donor_name), ((None, weight),))
    row = method_named(method)
    own = row.completed(parameters or {}, path, diagnosis.model.d_model)
    checked = validated_parameters(method, own)
    if row.filter is not None:
        row.filter(checked, layers)  # finds all that it will read
    plan = EditPlan(method, as_path(base_name), dict.fromkeys(layers, (donation,)), None, own)
    form = guarded_form(plan, base.n_layers, module_names(base)) | _dtypes(plan, base, donor_name)
    chosen = f"{format_layers(layers)} of {base.n_layers}"
    note = (
        f"# {rule} of {diagnosis.score} chose layers {chosen} (diagnosis: {path}).\n"
        f"# {row.effect}; everything else stays the base's.\n"
        f"{_how_to_run(base, donor_name, layers)}"
    )
    record = {DIAGNOSIS_KEY: _record(diagnosis, path, rule)}
    return WrittenRecipe(recipe_text(note, form, record), layers, base.n_layers)


def _how_to_run(base: Checkpoint, donor_name: str, layers: Sequence[int]) -> str:
    ours = "#   sae-merge merge THIS_FILE out/"
    if parse_model_id(donor_name).adapter:
        return f"#   mergekit-yaml THIS_FILE out/ --lora-merge-cache FOLDER\n{ours}\n"
    donor = open_model(donor_name)
    reason = why_not_plain(base, donor, layers)
    if reason:
        return f"{ours}\n# mergekit-yaml cannot run it: {reason}\n"
    return f"#   mergekit-yaml THIS_FILE out/\n{ours}     the same, checked before and after\n"


def _dtypes(plan: EditPlan, base: Checkpoint, donor_name: str) -> dict[str, str]:
    """dtype lines under which the arithmetic is rounded once and closed layers keep their bytes."""
    if parse_model_id(donor_name).adapter:
        # The adapter is merged only at merge time, in the dtype its own base has.
        return {"dtype": "float32", "out_dtype": next(iter(base.dtypes()))} if len(base.dtypes()) == 1 else {}
    donor = open_model(donor_name)
    donors = {plan.donors[0]: donor}
    check_donors(plan, base, donors)
    target = output_dtype(plan, base, donors)
    if target is None:
        return {}
    if donor.dtypes() == {target}:
        return {"dtype": target}
    return {"dtype": "float32", "out_dtype": target}


def _record(diagnosis: Diagnosis, path: Path, rule: SelectionRule) -> dict[str, Any]:
    saes = {entry.layer: entry.sae for entry in diagnosis.layers}
    return {
        "path": str(path),
        "sha256": file_sha256(path),
        "model": diagnosis.model.id,
        "revision": diagnosis.model.revision,
        "config_sha256": diagnosis.model.config_sha256,
        "score": diagnosis.score,
        "select": str(rule),
        "scores": diagnosis.scores(),
        "saes": {layer: f"{sae.release}:{sae.id}" if sae.id else sae.release for layer, sae in saes.items()},
        "target": {"name": diagnosis.target.name, "sha256": diagnosis.target.sha256},
        "control": {"name": diagnosis.control.name, "sha256": diagnosis.control.sha256},
    }
