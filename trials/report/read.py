"""A trial's folder as far as it is done: every artifact read, nothing computed but sums."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE, Attribution, read_attribution
from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE, Diagnosis, read_diagnosis
from sae_merge_method.artifacts.edit_report import REPORT_FILE, read_edit_report
from sae_merge_method.artifacts.experiment import EXPERIMENT_FILE, Experiment, read_experiment
from sae_merge_method.artifacts.experiment_plan import ARMS_FOLDER, RESULTS_FOLDER, read_arm
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.artifacts.lm_eval_samples import read_sample, read_samples
from sae_merge_method.artifacts.sae_training import TRAINING_FILE, SaeTraining, read_training
from sae_merge_method.artifacts.tune import TUNE_FILE, Tune, read_tune
from sae_merge_method.layers import layer_of
from sae_merge_method.statistics.losses import RatioChange, paired_ratio
from trials.donors import DonorRecord, read_donor
from trials.experiments import ANSWERS, LOGLIKELIHOOD, NEAR, ROUNDINGS, nats_task
from trials.folder import DonorName, TrialFolder
from trials.jobs import Timing, read_timings
from trials.record import TrialRecord, read_record

PROSE = "prose"
"""The experiment's own general text."""
LEVEL = 0.95
"""Of every interval."""


class Nats(NamedTuple):
    """What one arm needs for one text."""

    nats: tuple[float, ...]
    """Of every document."""
    tokens: tuple[int, ...]
    """Predicted tokens of every document."""

    @property
    def loss(self) -> float:
        """In nats a token."""
        return sum(self.nats) / sum(self.tokens)

    def less(self, base: "Nats") -> RatioChange:
        """The change from the base, by the same documents."""
        return paired_ratio(base.nats, self.nats, self.tokens)


class DonorRun(NamedTuple):
    """All that was measured of one donor."""

    donor: DonorName
    record: DonorRecord
    """How it was trained, and what it answered to problems that were held out."""
    attribution: Attribution | None
    experiment: Experiment | None
    nats: Mapping[str, Mapping[str, Nats]]
    """By arm, then by text: prose, near, answers."""
    energies: Mapping[int, float]
    """Squared norm of the task vector, by layer."""
    tune: Tune | None
    rounded: Mapping[str, Experiment]
    """All layers at every weight, by another rounding."""


class Findings(NamedTuple):
    """All that was measured of one model."""

    model: str
    training: SaeTraining | None
    diagnoses: Mapping[str, Diagnosis]
    """By ability."""
    runs: tuple[DonorRun, ...]
    """First one donor of every ability, then the next."""
    timings: tuple[Timing, ...]
    record: TrialRecord
    """How large it is, and where it was computed."""

    @property
    def n_layers(self) -> int:
        """Decoder layers of the model; 0 where nothing tells."""
        of_diagnoses = [one.model.n_layers for one in self.diagnoses.values()]
        of_experiments = [run.experiment.n_layers for run in self.runs if run.experiment]
        return next(iter((*of_diagnoses, *of_experiments)), 0)

    def command(self, stage: str) -> str | None:
        """The first command of a stage."""
        return next((one.command for one in self.timings if one.stage == stage and not one.code), None)


def read_findings(root: Path, model: str) -> Findings:
    """Read what stands in a trial's folder.

    Raises:
        ArtifactError: Something is damaged; the file is named.
    """
    folder = TrialFolder(root)
    saes = root / folder.saes
    diagnoses = {
        file.parent.name: read_diagnosis(file.parent)
        for file in sorted(root.glob(f"diagnoses/*/{DIAGNOSIS_FILE}"))
    }
    order = sorted(folder.donors(), key=lambda donor: (donor.seed, donor.ability))
    return Findings(
        model=model,
        training=read_training(saes) if (saes / TRAINING_FILE).is_file() else None,
        diagnoses=diagnoses,
        runs=tuple(_run(folder, donor) for donor in order),
        timings=tuple(read_timings(root)),
        record=read_record(folder),
    )


def _run(folder: TrialFolder, donor: DonorName) -> DonorRun:
    root = folder.root
    attribution, experiment = root / folder.attribution(donor), root / folder.experiment(donor)
    tune = root / folder.tune(donor)
    measured = read_experiment(experiment) if (experiment / EXPERIMENT_FILE).is_file() else None
    rounded = {name: root / folder.experiment(donor, name) for name in ROUNDINGS}
    return DonorRun(
        donor=donor,
        record=read_donor(root / folder.donor_record(donor)),
        attribution=read_attribution(attribution) if (attribution / ATTRIBUTION_FILE).is_file() else None,
        experiment=measured,
        nats=_nats(experiment, donor.ability, measured) if measured else {},
        energies=_energies(experiment),
        tune=read_tune(tune) if (tune / TUNE_FILE).is_file() else None,
        rounded={
            name: read_experiment(at) for name, at in rounded.items() if (at / EXPERIMENT_FILE).is_file()
        },
    )


def _nats(folder: Path, ability: str, experiment: Experiment) -> dict[str, dict[str, Nats]]:
    return {arm.name: _nats_of_arm(folder / ARMS_FOLDER / arm.name, ability) for arm in experiment.arms}


def _nats_of_arm(folder: Path, ability: str) -> dict[str, Nats]:
    by_text: dict[str, Nats] = {}
    general = read_arm(folder).general
    if general is not None:
        by_text[PROSE] = Nats(general.nats, general.tokens)
    run = read_results(folder / RESULTS_FOLDER)
    for what in (ANSWERS, NEAR):
        task = nats_task(ability, what)
        if task not in run.tasks:
            continue
        samples = read_samples(run, task, f"{LOGLIKELIHOOD},none")
        if samples.rows:
            tokens = (int(read_sample(samples, one)["doc"]["tokens"]) for one in samples.rows)
            by_text[what] = Nats(tuple(-one.score for one in samples.rows), tuple(tokens))
    return by_text


def _energies(folder: Path) -> dict[int, float]:
    """Of the task vector itself: what all layers were to be given at weight 1."""
    arm = folder / ARMS_FOLDER / "all-layers"
    if not (arm / REPORT_FILE).is_file():
        return {}
    return {layer_of(entry.layer): entry.intended_energy for entry in read_edit_report(arm).by_layer}
