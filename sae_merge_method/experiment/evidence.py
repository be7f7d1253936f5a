"""What an experiment chooses layers by: a diagnosis, an attribution of its donor, or both.

They are given, or made in the experiment's folder and kept there while they are made from the same things.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE, attribution_path, read_attribution
from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE, diagnosis_path, read_diagnosis
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.sited_saes import find_families
from sae_merge_method.errors import ArtifactError, SaeMergeError, UsageError
from sae_merge_method.evaluation.tasks import directions, find_tasks
from sae_merge_method.experiment.metric import require_one_way
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.experiment.stamps import changed, of_released, of_saes
from sae_merge_method.files.hashing import file_sha256, json_sha256
from sae_merge_method.files.writing import canonical_json, write_bytes, write_text
from sae_merge_method.identity.made_from import Parts, of_files, of_files_beside
from sae_merge_method.layers import Unit, parse_layers
from sae_merge_method.models.hub import open_model
from sae_merge_method.saes.find import SaeAddress, find_saes

LOG = logging.getLogger(__name__)

DIAGNOSIS_FOLDER = "diagnosis"
ATTRIBUTION_FOLDER = "attribution"
_MADE_FROM = {DIAGNOSIS_FOLDER: ".diagnosed", ATTRIBUTION_FOLDER: ".attributed"}
"""Files that say what is made in a folder, or being made, is made from."""
_ASKED = "settings, texts or models"


class ChosenBy(NamedTuple):
    """Where the scores are that an experiment chooses layers by."""

    diagnosis: Path | None
    """Its folder or file; None where layers are chosen without one."""
    attribution: Path | None
    """Its folder or file; None where there is none."""
    score: str | None
    """One of the attribution's; None for the diagnosis' own."""

    @property
    def chosen_from(self) -> Path:
        """The one that the rule is applied to."""
        chosen = self.diagnosis if self.score is None else self.attribution
        assert chosen is not None  # settings see to it, and find
        return chosen

    def scored(self) -> tuple[str, Mapping[Unit, float]]:
        """The score's name, and every layer's score, or every part's of a layer.

        Raises:
            ArtifactError: It cannot be read.
            UsageError: The attribution has no such score.
        """
        if self.score is not None:
            of_layers = read_attribution(self.chosen_from).scores_by(self.score)
            return self.score, dict[Unit, float](of_layers.items())
        diagnosis = read_diagnosis(diagnosis_path(self.chosen_from))
        return diagnosis.score, diagnosis.scores()

    def stamps(self) -> dict[str, str]:
        """What of it a plan depends on."""
        files = {}
        if self.diagnosis is not None:
            files["diagnosis"] = file_sha256(diagnosis_path(self.diagnosis))
        if self.attribution is not None:
            files["attribution"] = file_sha256(attribution_path(self.attribution))
        return files


def find_evidence(settings: ExperimentSettings, folder: Path, *, overwrite: bool) -> ChosenBy:
    """Make what is to be made here, and see that what is named is there.

    Args:
        settings: Of the experiment.
        folder: Its folder.
        overwrite: Make anew what was made from other things.

    Raises:
        UsageError: What stands in the folder was made from other things, and ``overwrite`` is off.
        ArtifactError: There is no attribution where one is expected.
        SaeMergeError: Anything that makes one impossible.
    """
    diagnosis = _diagnosis(settings, folder, overwrite)
    attribution = _attribution(settings, folder, overwrite)
    if attribution is None and diagnosis is not None and attribution_path(diagnosis).is_file():
        attribution = diagnosis if diagnosis.is_dir() else diagnosis.parent
    if settings.score is not None and attribution is None:
        raise ArtifactError(
            f"score: {settings.score}: there is no {ATTRIBUTION_FILE} in {diagnosis}: name the folder of one "
            "as attribution:, or diagnose with --donor"
        )
    return ChosenBy(diagnosis, attribution, settings.score)


def keep_attribution(evidence: ChosenBy, folder: Path) -> None:
    """Put the attribution beside the plan: a report is made from the experiment's folder alone."""
    kept = folder / ATTRIBUTION_FILE
    if evidence.attribution is None:
        kept.unlink(missing_ok=True)
    else:
        write_bytes(kept, attribution_path(evidence.attribution).read_bytes())


def _diagnosis(settings: ExperimentSettings, folder: Path, overwrite: bool) -> Path | None:
    if settings.diagnosis is None or isinstance(settings.diagnosis, str):
        return None if settings.diagnosis is None else Path(settings.diagnosis)
    from sae_merge_method.diagnose.run import diagnose

    asked = settings.to_diagnose()
    models = [settings.base, settings.donor] if asked.donor == settings.donor else [settings.base]

    def saes(n_layers: int) -> Iterable[SaeAddress]:
        return chain(*find_families(asked, n_layers))

    return _made(
        settings, folder / DIAGNOSIS_FOLDER, DIAGNOSIS_FILE, _parts(asked, models, saes),
        partial(_released, asked.model, saes),
        lambda at: diagnose(asked, at, overwrite=overwrite, report=LOG.info), overwrite=overwrite,
    )  # fmt: skip


def _attribution(settings: ExperimentSettings, folder: Path, overwrite: bool) -> Path | None:
    if settings.attribution is None or isinstance(settings.attribution, str):
        return None if settings.attribution is None else Path(settings.attribution)
    from sae_merge_method.attribute.run import attribute

    asked = settings.to_attribute()
    saes = partial(_asked_saes, asked)
    return _made(
        settings, folder / ATTRIBUTION_FOLDER, ATTRIBUTION_FILE,
        _parts(asked, [settings.base, settings.donor], saes), partial(_released, asked.base, saes),
        lambda at: attribute(asked, at, overwrite=overwrite, report=LOG.info), overwrite=overwrite,
    )  # fmt: skip


def _asked_saes(asked: AttributeSettings, n_layers: int) -> Sequence[SaeAddress]:
    layers = parse_layers(asked.layers, n_layers)
    return () if asked.sae is None else find_saes(asked.sae, asked.sae_id, layers)


def _parts(
    asked: DiagnoseSettings | AttributeSettings,
    models: Sequence[str],
    saes: Callable[[int], Iterable[SaeAddress]],
) -> Parts:
    """What is made is made from; models with the base first, and the SAEs of so many layers."""
    files = [Path(corpus) for corpus in (asked.target, *asked.control)]
    texts = [file_sha256(file) if file.is_file() else None for file in files]
    parts = {_ASKED: json_sha256([asked.model_dump(mode="json"), *map(of_files, models), texts])}
    parts |= of_files_beside(models[0], generates=False)
    n_layers = open_model(models[0]).n_layers
    with suppress(SaeMergeError):  # gone: what was made from them stands
        found = ((f"{one.release}, layer {one.layer}", one.folder) for one in saes(n_layers))
        parts |= of_saes({name: folder for name, folder in found if folder is not None})
    return parts


def _released(model: str, saes: Callable[[int], Iterable[SaeAddress]]) -> Parts:
    """The SAEs of releases as they are now: made from them is what was made just before."""
    with suppress(SaeMergeError):
        return of_released(saes(open_model(model).n_layers))
    return {}


def _made(
    settings: ExperimentSettings,
    at: Path,
    file: str,
    parts: Mapping[str, str],
    released: Callable[[], Parts],
    make: Callable[[Path], object],
    *,
    overwrite: bool,
) -> Path:
    """What is made in the experiment's folder; one made from other things is not taken for it."""
    made_from = at.with_name(_MADE_FROM[at.name])
    stands = (at / file).exists()
    others = changed(_written(made_from), {**parts, **released()})
    if stands and others and not overwrite:
        raise UsageError(
            f"{at} was made with other {', '.join(others)} than now asked for: name another folder, or pass "
            "--overwrite"
        )
    if others or not stands:
        # A misspelt task, or a metric that cannot judge, is not found out after an hour of encoding.
        tasks = find_tasks(settings.evaluation)
        require_one_way(settings.metric, directions(tasks, settings.metric))
        if stands:
            made_from.unlink(missing_ok=True)  # until it is replaced, it is not what is asked for
        else:
            write_text(
                made_from, canonical_json(parts)
            )  # what is made counts, even if we are killed right after
        make(at)
        # What it has fetched may be newer than what was there before.
        write_text(made_from, canonical_json({**parts, **released()}))
    return at


def _written(made_from: Path) -> Parts:
    """What something says it is made from; older versions wrote one hash of settings, texts and models."""
    text = made_from.read_text(encoding="utf-8") if made_from.exists() else ""
    return dict(json.loads(text)) if text.startswith("{") else {_ASKED: text}
