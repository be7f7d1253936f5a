"""Whether an artifact was made on the base of a merged folder, which itself need not be at hand."""

from contextlib import suppress
from pathlib import Path

from sae_merge_method.artifacts.attribution import Attribution
from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.artifacts.recipe import RECIPE_FILE
from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.errors import ArtifactError, ModelError
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER, open_checkpoint
from sae_merge_method.models.constants import differing, reads_alike, stated_constants
from sae_merge_method.models.hub import folder_at_hand, parse_model_id
from sae_merge_method.models.shards import lacks_weights
from sae_merge_method.recipe.diagnosed import recorded_model
from sae_merge_method.recipe.merged_folder import MergedFolder


def require_diagnosed_base(merged: MergedFolder, diagnosis: Diagnosis) -> None:
    """Make sure that a diagnosis is of a folder's base.

    Raises:
        ArtifactError: It is of another model.
    """
    model = diagnosis.model
    _require_layers(merged, "diagnosis", model.n_layers)
    _require_weights(merged, model.fingerprint, f"the diagnosis is of {model.id}")


def require_attributed_base(merged: MergedFolder, attribution: Attribution) -> None:
    """Make sure that an attribution is of a folder's base.

    Raises:
        ArtifactError: It is of another model.
    """
    _require_layers(merged, "attribution", len(attribution.target.layers))
    of = f"the attribution is of {attribution.base.id}"
    _require_weights(merged, attribution.base.fingerprint, of)


def require_searched_base(merged: MergedFolder, tuned: Tune) -> None:
    """Make sure that a search was of a folder's base; an older one that does not say of what is taken.

    Raises:
        ArtifactError: It was of another model.
    """
    if tuned.base_fingerprint is not None:
        _require_layers(merged, "search", tuned.n_layers)
        _require_weights(merged, tuned.base_fingerprint, f"the search is of {tuned.base}")


def _require_weights(merged: MergedFolder, was: Fingerprint, of: str) -> None:
    """Make sure that something was made on a folder's base.

    Weights and constants are held against the base's where it is at hand, or where the recipe keeps its
    fingerprint. Names and shapes, and constants of a base that is not, are held against the folder's own,
    which an edit leaves.

    Args:
        merged: The folder.
        was: Of the model that it was made on.
        of: How messages name what was made, and on which model.

    Raises:
        ArtifactError: It is of another model.
    """
    base = f"the base of {merged.folder} ({merged.recipe.base_model})"
    if was.tensors != fingerprint(merged.checkpoint).tensors:
        raise ArtifactError(f"{of}, whose tensors have other names or shapes than those of {base}")
    own, config = _known(merged), merged.checkpoint.text_config
    constants = stated_constants(config) if own is None else own.constants
    # mergekit writes the folder's config as transformers read the base's, which may not be to the letter.
    apart = differing(was.constants, constants)
    unlike = [one.key for one in apart if not reads_alike(config, one.key, one.of_base)]
    if unlike:
        raise ArtifactError(f"{of}, which computes something else than {base}: {', '.join(unlike)}")
    if own is not None and was.agrees_in(own) is None:
        raise ArtifactError(f"{of}, which holds other weights than {base}")


def _known(merged: MergedFolder) -> Fingerprint | None:
    """The base's fingerprint, where it can be had."""
    model = parse_model_id(merged.recipe.base_model)
    folder = folder_at_hand(model) if model.adapter is None else None
    with suppress(ModelError):  # a damaged one is for verify to tell of
        if folder is not None and _is_whole_base(folder, merged.folder):
            return fingerprint(open_checkpoint(folder))
    recorded = recorded_model(merged.recipe.sae_evidence, RECIPE_FILE)
    return recorded.fingerprint if recorded is not None else None


def _is_whole_base(folder: Path, merged: Path) -> bool:
    """Whether a folder still holds a base: neither edited in place nor there in part."""
    is_edited = folder.samefile(merged) or (folder / JOURNAL_FOLDER).is_dir()
    return not is_edited and not lacks_weights(folder)


def _require_layers(merged: MergedFolder, kind: str, n_layers: int) -> None:
    if n_layers != merged.checkpoint.n_layers:
        raise ArtifactError(
            f"the {kind} is of a model with {n_layers} layers, {merged.folder} has "
            f"{merged.checkpoint.n_layers}"
        )
