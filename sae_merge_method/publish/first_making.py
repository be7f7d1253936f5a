"""What a model's first making was told, or did, that its recipe alone does not say."""

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.dtypes import DTYPE_NAMES
from sae_merge_method.models.hub import local_folder, parse_model_id
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.precision import rounded_by_mergekit


def recorded_options(report: EditReport | None) -> dict[str, str]:
    """What a merge was told beside its recipe and changes its bytes, as options of another."""
    dtype = None if report is None else report.request.lora_merge_dtype
    return {} if dtype is None else {"lora_merge_dtype": dtype}


def read_otherwise(recipe: RecipeText, second: EditReport) -> str | None:
    """How plain mergekit-yaml reads the recipe's dtype where it does so otherwise, in words; else None.

    Args:
        recipe: The recipe.
        second: The report of our own making.

    Raises:
        ModelError: A donor cannot be had any more.
    """
    base = {DTYPE_NAMES[kind] for kind in second.base_dtypes or () if kind in DTYPE_NAMES}
    named = [donor for donor in map(parse_model_id, second.donors) if donor.adapter is None]
    inputs = base.union(*(open_checkpoint(local_folder(donor)).dtypes() for donor in named))
    parsed = parse_recipe(*recipe)
    wider = rounded_by_mergekit(parsed, base, inputs)
    if not wider:
        return None
    return (
        f"there is no {REPORT_FILE}: mergekit-yaml rounds what is stored in {'/'.join(wider)} to "
        f"{parsed.dtype} before the edit, sae-merge merge does not; sae-merge verify takes both"
    )
