"""What layers are chosen by: a diagnosis' own score, or one that knows the donor, of an attribution."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sae_merge_method.artifacts.attribution import Attribution, attribution_path, read_attribution
from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE, Diagnosis, Units, diagnosis_path
from sae_merge_method.artifacts.unit import read_unit, written_unit
from sae_merge_method.errors import RecipeError
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.layers import Unit
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.hub import is_same_model, open_model, parse_model_id
from sae_merge_method.recipe.diagnosed import OpenedDiagnosis, open_attribution, open_diagnosis
from sae_merge_method.selection import SelectionRule, agreement

logger = logging.getLogger(__name__)


class ScoreEvidence(NamedTuple):
    """Scores of a base's layers, and where they are from."""

    path: Path
    """The diagnosis' or the attribution's file."""
    kind: str
    """"diagnosis" or "attribution"."""
    score: str
    """Name of the score."""
    scores: Mapping[Unit, float]
    """By layer, or by part of a layer."""
    q_values: Mapping[Unit, float] | None
    diagnosis: Path
    """The diagnosis that a method may read: of an attribution, the one in its folder, whether or not there is
    one."""
    d_model: int
    """Width of the residual stream."""
    others: Mapping[str, Sequence[Mapping[Unit, float]]]
    """Scores that were come by in other ways, by what is other, in words."""
    record: dict[str, Any]
    """What a recipe keeps of it, for when it stays at home."""

    def overlaps(self, rule: SelectionRule, layers: Sequence[Unit]) -> tuple[str, ...]:
        """How much of a choice is owed to this score, in a line; none where nobody knows."""
        shares = {ways: agreement(rule, layers, scores) for ways, scores in self.others.items()}
        told = [f"{share:.2f} by {ways}" for ways, share in shares.items() if share is not None]
        return (f"Overlap with what the rule takes: {', '.join(told)}.",) if told else ()


def of_diagnosis(at: Path, base: Checkpoint, base_name: str, donor: str, units: Units) -> ScoreEvidence:
    """A diagnosis' own score.

    Raises:
        ArtifactError: There is no diagnosis, or it cannot be read.
        RecipeError: It is of another model; or an attribution alone stands there, which has several scores.
    """
    path = diagnosis_path(at)
    if not path.is_file() and attribution_path(at).is_file():
        names = ", ".join(one.name for one in read_attribution(at).scores)
        raise RecipeError(
            f"{at} holds an attribution and no diagnosis: name one of its scores with --score: {names}"
        )
    diagnosis = open_diagnosis(at, base, base_name, [donor])
    content = diagnosis.content
    others = {
        ways: [one.scores for one in content.others if one.kind == kind]
        for kind, ways in (("score", "other scores"), ("half", "either half of the documents"))
    }
    scores, q_values = content.scores(units), content.q_values()
    kept = _record_of_diagnosis(diagnosis, units)
    return ScoreEvidence(
        path=diagnosis.path, kind="diagnosis", score=content.score, scores=scores, q_values=q_values,
        diagnosis=diagnosis.path, d_model=content.model.d_model, others=others, record=kept,
    )  # fmt: skip


def of_attribution(at: Path, base: Checkpoint, base_name: str, donor: str, score: str) -> ScoreEvidence:
    """A score that knows the donor.

    Raises:
        ArtifactError: There is no attribution, or it cannot be read.
        UsageError: It has no such score.
        RecipeError: It is of another base.
    """
    path, content = open_attribution(at, base, base_name, [donor])
    _warn_of_another_donor(path, content, donor)
    diagnosis = path.parent / DIAGNOSIS_FILE
    others: dict[str, list[Mapping[Any, float]]] = {
        "the donor's other scores": [
            content.scores_by(one.name) for one in content.scores if one.name != score
        ]
    }
    scores: Mapping[Any, float] = content.scores_by(score)
    return ScoreEvidence(
        path=path, kind="attribution", score=score, scores=scores, q_values=None,
        diagnosis=diagnosis, d_model=base.d_model or 0, others=others,
        record=_record_of_attribution(path, content, score, diagnosis if diagnosis.is_file() else None),
    )  # fmt: skip


def _warn_of_another_donor(path: Path, content: Attribution, donor: str) -> None:
    """Scores of one donor say little of another. An adapter is known by its name: it is not merged here."""
    if parse_model_id(donor).adapter is not None:
        same = is_same_model(donor, content.donor.id)
    else:
        same = content.donor.fingerprint.agrees_in(fingerprint(open_model(donor))) is not None
    if not same:
        logger.warning(
            "%s is of the donor %s: its scores may say little of %s", path, content.donor.id, donor
        )


def _record_of_diagnosis(diagnosis: OpenedDiagnosis, units: Units) -> dict[str, Any]:
    path, content = diagnosis
    saes = {written_unit(entry.unit): entry.sae for entry in content.layers}
    return {
        "path": str(path),
        "sha256": file_sha256(path),
        "model": content.model.id,
        "revision": content.model.revision,
        "fingerprint": content.model.fingerprint.model_dump(mode="json"),
        "score": content.score,
        "units": units if content.has_null else "raw",
        "scores": {written_unit(unit): score for unit, score in content.scores(units).items()},
        "saes": {unit: f"{sae.release}:{sae.id}" if sae.id else sae.release for unit, sae in saes.items()},
        **_texts(content),
    }


def _record_of_attribution(
    path: Path, content: Attribution, score: str, diagnosis: Path | None
) -> dict[str, Any]:
    return {
        **({} if diagnosis is None else {"path": str(diagnosis)}),
        "attribution": str(path),
        "sha256": file_sha256(path),
        "model": content.base.id,
        "donor": content.donor.id,
        "fingerprint": content.base.fingerprint.model_dump(mode="json"),
        "score": score,
        "units": "raw",
        "scores": content.scores_by(score),
        **_texts(content),
    }


def recorded_scores(record: Mapping[str, Any]) -> dict[Unit, float]:
    """The scores that a recipe keeps of what its layers were chosen from; none where it keeps none.

    Raises:
        RecipeError: What stands there are no scores.
    """
    scores = record.get("scores")
    if not isinstance(scores, dict):
        return {}
    try:
        return {read_unit(unit): float(score) for unit, score in scores.items()}
    except (TypeError, ValueError) as error:
        raise RecipeError(f"expected a score by layer in scores, and {error}") from error


def is_of_attribution(record: Mapping[str, Any] | None) -> bool:
    """Whether a recipe's layers were chosen by a score that knows the donor."""
    return "attribution" in (record or {})


def _texts(content: Diagnosis | Attribution) -> dict[str, Any]:
    return {
        "target": {"name": content.target.name, "sha256": content.target.sha256},
        "controls": [{"name": control.name, "sha256": control.sha256} for control in content.controls],
    }
