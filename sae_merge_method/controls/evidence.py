"""What the arms of a recipe know of its layers: the scores that chose them, and features to project onto."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.controls.unit_sets import opens_parts
from sae_merge_method.layers import Unit
from sae_merge_method.recipe.evidence import is_of_attribution, recorded_scores
from sae_merge_method.recipe.resolved import ResolvedRecipe
from sae_merge_method.saes.ranking import default_rank

LOG = logging.getLogger(__name__)


class ArmEvidence(NamedTuple):
    """What a recipe's layers were chosen by, and what features a scalpel can have."""

    scores: Mapping[Unit, float]
    scalpel: Mapping[str, Any]
    """Parameters of the scalpel arms but ``mode``; empty where there can be none."""
    no_scalpel: str = ""
    """Why there can be none, in words."""


_NO_DIAGNOSIS = (
    "an attribution chose the layers, and without a diagnosis (--diagnosis) there are no features to project "
    "onto"
)
_NO_STREAM = (
    "the diagnosis is of modules: what its SAEs read is not what a layer's matrices read, so there are no "
    "features of the residual stream to project onto (--diagnosis can name another)"
)


def evidence_of(recipe: ResolvedRecipe, settings: ControlSettings) -> ArmEvidence:
    """A diagnosis, or an attribution with or without one; a recipe's own scores are those that it keeps.

    Where a rule computes the gate, the scores are those that it reads. Another diagnosis that the user names
    ranks the layers by scores of the recipe's kind, raw or corrected, unless an attribution chose them.

    Raises:
        ArtifactError: The diagnosis cannot be read.
        RecipeError: There is none, or it is of another model; or the scores that are kept are none.
    """
    record = recipe.recipe.sae_evidence or {}
    instead = Path(settings.diagnosis) if settings.diagnosis else None
    attribution, score = recipe.attribution, recipe.recipe.parameters.score
    if attribution is not None and score is not None:
        record = {
            **record,
            "attribution": str(attribution.path),
            "scores": attribution.content.scores_by(score),
        }
    known = is_of_attribution(record)
    if known and instead is None and recipe.diagnosis is None and record.get("path") is None:
        return ArmEvidence(recorded_scores(record), {}, _NO_DIAGNOSIS)
    path, diagnosis = recipe.any_diagnosis(instead)
    rank = settings.rank or default_rank(diagnosis.model.d_model)
    scores = recorded_scores(record) if known or (instead is None and recipe.diagnosis is None) else {}
    scores = scores or diagnosis.scores("raw" if record.get("units") == "raw" else "corrected")
    if opens_parts(diagnosis.units):
        return ArmEvidence(scores, {}, _NO_STREAM)
    return ArmEvidence(scores, {"diagnosis": str(path), "rank": rank})


def without_scalpels(kinds: Sequence[ArmKind], why: str) -> list[ArmKind]:
    """Those that need no features; a warning names the others, and says why."""
    absent = [kind.name for kind in kinds if kind.measures]
    if absent:
        LOG.warning("no arm %s: %s", ", ".join(absent), why)
    return [kind for kind in kinds if not kind.measures]
