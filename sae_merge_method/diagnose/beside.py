"""Diagnoses of the same model and texts by other SAEs, and how it is told that they are no others."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.diagnosis import Corpus, Diagnosis, ModelSource, Units, read_diagnosis
from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.layers import Unit, format_layers
from sae_merge_method.models.checkpoint import CONFIG_FILE, config_alone
from sae_merge_method.models.constants import differing, reads_alike
from sae_merge_method.models.hub import folder_at_hand, parse_model_id

MAY_DIFFER = frozenset(
    (
        # What else is told of an SAE. That the same layers have a score is looked at apart.
        "dictionaries", "layers", "snippets", "twins", "variance_tokens",
        "bootstrap", "permutations", "seed",
        "batch_tokens", "device", "device_map",
        # Limits: how many documents and tokens each corpus gave is held against each other in their place.
        "max_documents", "max_length", "max_tokens",
    )
)  # fmt: skip
"""Settings that two diagnoses by other SAEs of one model and texts may differ in: a new one may not."""


class _Held(NamedTuple):
    """One thing that must be the same in both."""

    what: str
    one: object
    two: object


def scores_beside(
    diagnosis: Diagnosis, others: Sequence[str | Path], units: Units
) -> list[dict[Unit, float]]:
    """The scores of diagnoses of which only the SAEs differ from this one's.

    Args:
        diagnosis: What they stand beside.
        others: Their folders or files.
        units: Of this one's scores, which theirs are told in.

    Raises:
        ArtifactError: One is no diagnosis.
        UsageError: One is of another model, of other texts, or they were counted otherwise; or it has no
            corrected scores.
    """
    read = [(read_diagnosis(other), str(other)) for other in others]
    for other, name in read:
        _require_other_saes_alone(diagnosis, other, name)
        if units == "corrected" and not other.has_null:
            raise UsageError(f"{name} has raw scores alone: expected corrected ones, by shuffled labels")
    return [other.scores(units) for other, _ in read]


def _require_other_saes_alone(diagnosis: Diagnosis, other: Diagnosis, name: str) -> None:
    if other.model.fingerprint.agrees_in(diagnosis.model.fingerprint) is None:
        raise UsageError(f"{name} is of another model, by its weights: expected only other SAEs")
    for what, one, two in _all_held(diagnosis, other):
        if one != two:
            raise UsageError(
                f"{name} is of another {what} ({_said(two)}, not {_said(one)}): expected only other SAEs"
            )


def _said(value: object) -> object:
    return "none" if value in (None, "") else value


def _all_held(diagnosis: Diagnosis, other: Diagnosis) -> Iterator[_Held]:
    one, two = diagnosis.model, other.model
    for key, of_one, of_two in differing(one.fingerprint.constants, two.fingerprint.constants):
        if not (_is_read_as(one, key, of_two) or _is_read_as(two, key, of_one)):
            yield _Held(key, of_one, of_two)
    yield _Held("token before its documents", one.begins_with, two.begins_with)
    yield _Held("score", diagnosis.score, other.score)
    yield _Held("set of layers", format_layers(diagnosis.units), format_layers(other.units))
    yield _Held("number of controls", len(diagnosis.controls), len(other.controls))
    corpora = [*zip(_texts(diagnosis), _texts(other), strict=True)]
    for of_one, of_two in corpora:
        yield _Held("text", of_one.sha256, of_two.sha256)
    for setting in sorted((diagnosis.settings.keys() | other.settings.keys()) - MAY_DIFFER):
        yield _Held(f"{setting} setting", diagnosis.settings.get(setting), other.settings.get(setting))
    for of_one, of_two in corpora:
        for what, field in (
            ("documents read", "documents_read"), ("tokens read", "tokens_read"),
            ("documents", "documents"), ("tokens", "tokens"),
        ):  # fmt: skip
            yield _Held(f"number of {what} of {of_one.name}", getattr(of_one, field), getattr(of_two, field))


def _is_read_as(model: ModelSource, key: str, value: object) -> bool:
    """Whether transformers, which writes a config otherwise than it was, makes the same of another value of a
    constant: known where the model is at hand, and its config the one that it had."""
    with suppress(ModelError, UsageError):  # a folder of another machine may have no model's name here
        folder = folder_at_hand(replace(parse_model_id(model.id), adapter=None))
        config = None if folder is None else config_alone(folder / CONFIG_FILE)
        if config is not None and config.config_sha256 == model.config_sha256:
            return reads_alike(config.text_config, key, value)
    return False


def _texts(diagnosis: Diagnosis) -> tuple[Corpus, ...]:
    return diagnosis.target, *diagnosis.controls
