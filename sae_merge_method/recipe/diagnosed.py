"""A diagnosis, or an attribution, held against a base: whether it was made on these weights, whatever layout
they lie in."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sae_merge_method.artifacts.attribution import Attribution, attribution_path, read_attribution
from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.artifacts.recipe import EVIDENCE_KEY
from sae_merge_method.artifacts.schema import describe
from sae_merge_method.errors import ModelError, RecipeError
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.constants import differing, reads_alike, stated_constants
from sae_merge_method.models.hub import folder_at_hand, parse_model_id

LOG = logging.getLogger(__name__)


class OpenedDiagnosis(NamedTuple):
    """A diagnosis that was read, and from which file."""

    path: Path
    content: Diagnosis


class OpenedAttribution(NamedTuple):
    """An attribution that was read, and from which file."""

    path: Path
    content: Attribution


class Diagnosed(NamedTuple):
    """The model that a diagnosis was made on."""

    diagnosis: str
    """How messages name the diagnosis."""
    model: str
    """The model, as its user named it."""
    fingerprint: Fingerprint


def open_diagnosis(at: Path, base: Checkpoint, base_name: str, donors: Sequence[str] = ()) -> OpenedDiagnosis:
    """Read a diagnosis, and refuse one that was made on another model than the base.

    Args:
        at: Its folder or file.
        base: The base.
        base_name: The base as the user names it, for messages.
        donors: Names of donors that may have been taken for the base.

    Raises:
        ArtifactError: It cannot be read.
        RecipeError: The weights or constants differ, or the SAEs' width is not the base's.
    """
    path = diagnosis_path(at)
    diagnosis = read_diagnosis(path)
    model = diagnosis.model
    require_diagnosed(Diagnosed(str(path), model.id, model.fingerprint), base, base_name, donors)
    width = base.d_model
    if width is not None and model.d_model != width:
        raise RecipeError(f"{path} has SAEs of width {model.d_model}, the base's residual stream has {width}")
    return OpenedDiagnosis(path, diagnosis)


def open_attribution(
    at: Path, base: Checkpoint, base_name: str, donors: Sequence[str] = ()
) -> OpenedAttribution:
    """Read an attribution, and refuse one that was made on another model than the base.

    Args:
        at: Its folder or file.
        base: The base.
        base_name: The base as the user names it, for messages.
        donors: Names of donors that may have been taken for the base.

    Raises:
        ArtifactError: There is none, or it cannot be read.
        RecipeError: The weights or constants differ.
    """
    path = attribution_path(at)
    content = read_attribution(path)
    was = Diagnosed(str(path), content.base.id, content.base.fingerprint)
    require_diagnosed(was, base, base_name, donors)
    return OpenedAttribution(path, content)


def require_diagnosed(
    diagnosed: Diagnosed, base: Checkpoint, base_name: str, donors: Sequence[str] = ()
) -> None:
    """Make sure that a base is the model that was diagnosed, in any layout and any dtype.

    Args:
        diagnosed: The model that was.
        base: The base; where nothing but its config is at hand, its weights are taken on trust.
        base_name: The base as the user names it, for messages.
        donors: Names of donors that may have been taken for the base; opened only where they are at hand.

    Raises:
        RecipeError: It is another one: the donor, another fine-tune, a model of another kind, or the same
            weights under other constants.
        ModelError: A weight file is damaged.
    """
    was = f"{diagnosed.diagnosis} was made on {diagnosed.model}"
    if base.tensors:
        own = fingerprint(base)
        shared = diagnosed.fingerprint.agrees_in(own)
        if shared is None:
            raise RecipeError(_another_model(was, diagnosed.fingerprint, own, base_name, donors))
        if diagnosed.fingerprint.dtype != own.dtype:
            LOG.warning(
                "%s, stored as %s; the base %s holds the same numbers as %s",
                *(was, diagnosed.fingerprint.dtype, base_name, own.dtype),
            )
    config = base.text_config
    apart = differing(diagnosed.fingerprint.constants, stated_constants(config))
    unlike = [one for one in apart if not reads_alike(config, one.key, one.of_base)]
    if unlike:
        differences = ", ".join(f"{key} was {there}, in the base it is {here}" for key, there, here in unlike)
        raise RecipeError(f"{was}, the base {base_name} computes something else: {differences}")


def recorded_model(record: Mapping[str, Any] | None, where: str) -> Diagnosed | None:
    """The model that a recipe says in its ``sae_evidence`` its scores are of; None where it keeps none.

    Raises:
        RecipeError: What stands there is no fingerprint.
    """
    kept = (record or {}).get("fingerprint")
    if record is None or kept is None:
        return None
    try:
        taken = Fingerprint.model_validate(kept)
    except ValidationError as error:
        faults = describe(error, inside=(EVIDENCE_KEY, "fingerprint"))
        raise RecipeError(f"{where} cannot be read as a recipe:\n{faults}") from error
    return Diagnosed(
        f"{record.get('attribution', record.get('path'))} ({where}: {EVIDENCE_KEY})",
        str(record.get("model")),
        taken,
    )


def _another_model(
    was: str, diagnosed: Fingerprint, own: Fingerprint, base_name: str, donors: Sequence[str]
) -> str:
    for name in donors:
        if _has_weights(name, diagnosed):
            return (
                f"base and donor are swapped: {was}, whose weights the donor {name} has and the base "
                f"{base_name} has not"
            )
    if diagnosed.tensors == own.tensors:
        other = (
            "holds other weights in tensors of the same names and shapes: it is another fine-tune of that "
            "family, or was edited since"
        )
    else:
        other = "has tensors of other names or shapes: it is a model of another kind or size"
    return f"{was}, the base {base_name} {other} (diagnose the base, or name its layers without a diagnosis)"


def _has_weights(name: str, wanted: Fingerprint) -> bool:
    folder = folder_at_hand(replace(parse_model_id(name), adapter=None))
    with suppress(ModelError):  # one that cannot be read is told of when it is opened for its own sake
        return folder is not None and fingerprint(open_checkpoint(folder)).agrees_in(wanted) is not None
    return False
