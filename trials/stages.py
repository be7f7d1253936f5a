"""The stages of a trial, each a table row: which commands of ours it runs, and on what.

    donors, saes -> diagnoses -> attributions -> tunes -> experiments -> rounding

Base, texts and tasks are made before; what is made of it all is read by :mod:`trials.report`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE
from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE
from sae_merge_method.artifacts.experiment import EXPERIMENT_FILE, read_experiment
from sae_merge_method.artifacts.sae_training import TRAINING_FILE
from sae_merge_method.artifacts.strict_yaml import dump_yaml, load_yaml
from sae_merge_method.artifacts.tune import RECIPE_FILE, TUNE_FILE
from trials.experiments import ROUNDINGS, TUNED, experiment_text, rounding_text, write_picks, write_tasks
from trials.folder import DonorName, TrialFolder
from trials.jobs import Job
from trials.passages import write_passages
from trials.sizes import Sizes


@dataclass(frozen=True)
class Trial:
    """One model's trial: where, how large, of which donors."""

    folder: TrialFolder
    sizes: Sizes
    abilities: tuple[str, ...]
    seeds: tuple[int, ...]
    device: str = "cpu"
    """Where all of it is computed."""

    @property
    def donors(self) -> tuple[DonorName, ...]:
        """First one of every ability, then the next: what stands early says most."""
        return tuple(DonorName(ability, seed) for seed in self.seeds for ability in self.abilities)

    def is_whole(self, donor: DonorName) -> bool:
        """Whether a donor has every arm, whichever of them are asked for."""
        firsts = [DonorName(ability, 0) for ability in self.folder.abilities()]
        return donor in firsts[: self.sizes.whole_donors]

    def stands(self, at: str) -> bool:
        """Whether something of the trial's folder is there."""
        return (self.folder.root / at).exists()


def _donors(trial: Trial) -> Iterator[Job]:
    folder = trial.folder
    for donor in trial.donors:
        # As it is typed inside the folder, which has the model's name.
        words = ["python", "-m", "trials", "train", "--model", folder.root.name, "--out", ".."]
        words += ["--ability", donor.ability, "--seed", str(donor.seed), "--device", trial.device]
        done = partial(trial.stands, folder.donor_record(donor))
        yield Job("train", str(donor), tuple(words), (folder.base,), done)


def _saes(trial: Trial) -> Iterator[Job]:
    folder, sizes = trial.folder, trial.sizes
    words = ["sae-merge", "train-saes", "--model", folder.base, "--text", folder.mixture]
    words += ["--width", str(sizes.sae_width), "--tokens", str(sizes.sae_tokens)]
    words += ["--step-tokens", str(sizes.sae_step_tokens), "--buffer-tokens", str(sizes.sae_tokens // 2)]
    words += ["--held-out", str(sizes.sae_held_out), "--loss-tokens", str(sizes.sae_loss_tokens)]
    words += ["--dtype", "float32", "--device", trial.device, "--out", folder.saes]
    done = partial(trial.stands, f"{folder.saes}/{TRAINING_FILE}")
    yield Job("saes", "", tuple(words), (folder.base, folder.mixture), done)


def _diagnoses(trial: Trial) -> Iterator[Job]:
    folder, sizes = trial.folder, trial.sizes
    for ability in trial.abilities:
        target, near = folder.target(ability), folder.near(ability)
        words = ["sae-merge", "diagnose", "--model", folder.base, "--sae", f"{folder.saes}/layer_{{layer}}"]
        words += ["--target", target, "--control", folder.prose, "--control", near]
        words += ["--max-tokens", str(sizes.diagnosis_tokens), "--permutations", str(sizes.permutations)]
        words += ["--bootstrap", str(sizes.permutations), "--variance-tokens", str(sizes.sae_held_out)]
        words += ["--dtype", "float32", "--device", trial.device]
        words += ["--out", folder.diagnosis(ability)]
        needs = (f"{folder.saes}/{TRAINING_FILE}", target, folder.prose, near)
        done = partial(trial.stands, f"{folder.diagnosis(ability)}/{DIAGNOSIS_FILE}")
        yield Job("diagnose", ability, tuple(words), needs, done)


def _attributions(trial: Trial) -> Iterator[Job]:
    folder, sizes = trial.folder, trial.sizes
    for donor in trial.donors:
        target = folder.target(donor.ability)
        words = ["sae-merge", "attribute", "--base", folder.base, "--donor", folder.donor(donor)]
        words += ["--target", target, "--control", folder.passages(folder.prose), "--probe"]
        needs: tuple[str, ...] = (folder.donor_record(donor), target, folder.prose)
        if donor.seed >= sizes.brief_from_seed:
            words.append("--first-order")
        else:
            words += ["--sae", f"{folder.saes}/layer_{{layer}}"]
            needs += (f"{folder.saes}/{TRAINING_FILE}",)
        words += ["--max-documents", str(sizes.attributed_problems)]
        words += ["--max-length", str(sizes.attributed_length)]
        words += ["--most-points", str(sizes.attribution_points), "--groups", str(sizes.attribution_groups)]
        words += ["--device", trial.device, "--out", folder.attribution(donor)]
        yield Job(
            "attribute", str(donor), tuple(words), needs,
            partial(trial.stands, f"{folder.attribution(donor)}/{ATTRIBUTION_FILE}"),
            partial(write_passages, folder, folder.prose, sizes),
        )  # fmt: skip


def _experiments(trial: Trial) -> Iterator[Job]:
    folder = trial.folder
    for donor in trial.donors:
        at = folder.experiment(donor)
        needs = (
            folder.donor_record(donor),
            f"{folder.diagnosis(donor.ability)}/{DIAGNOSIS_FILE}",
            f"{folder.attribution(donor)}/{ATTRIBUTION_FILE}",
            f"{folder.tasks}/{folder.task(donor.ability)}.yaml",
        )
        yield Job(
            "experiment", str(donor), _experiment_words(at), needs,
            partial(_is_whole, trial, at, donor), partial(_prepare_experiment, trial, donor),
        )  # fmt: skip


def _experiment_words(at: str) -> tuple[str, ...]:
    return ("sae-merge", "experiment", "run", f"{at}.yml", "--out", at, "--workers", "0")


def _prepare_experiment(trial: Trial, donor: DonorName) -> None:
    folder, few = trial.folder, not trial.is_whole(donor)
    write_tasks(folder, trial.sizes)
    own = write_picks(folder, donor, trial.sizes, few)
    if trial.stands(f"{folder.tune(donor)}/{TUNE_FILE}"):
        own[TUNED] = f"{folder.tune(donor)}/{RECIPE_FILE}"
    text = experiment_text(folder, donor, trial.sizes, own, few, trial.device)
    _write(folder.root / f"{folder.experiment(donor)}.yml", text)


def _is_whole(trial: Trial, at: str, donor: DonorName | None = None) -> bool:
    """Whether every arm of the experiment's file is done, and the edit that was tuned since is among them."""
    if not trial.stands(f"{at}/{EXPERIMENT_FILE}"):
        return False
    experiment = read_experiment(trial.folder.root / at)
    asked = load_yaml((trial.folder.root / f"{at}.yml").read_text(encoding="utf-8"))["arms"]
    own = {name for one in asked if isinstance(one, dict) for name in one}
    if donor is not None and trial.stands(f"{trial.folder.tune(donor)}/{TUNE_FILE}"):
        own.add(TUNED)
    return not experiment.missing and own <= {arm.name for arm in experiment.arms}


def _tunes(trial: Trial) -> Iterator[Job]:
    folder, sizes = trial.folder, trial.sizes
    for donor in trial.donors:
        at, search = folder.tune(donor), folder.search(donor.ability)
        settings = {
            "base": folder.base,
            "donor": folder.donor(donor),
            "target": search,
            "control": [folder.passages(folder.prose)],
            "attribution": folder.attribution(donor),
            "budget": sizes.tune_budget,
            "families": list(sizes.tune_families),
            "steps": sizes.tune_steps,
            "finalists": sizes.tune_finalists,
            "max_documents": sizes.tune_texts,
            "max_length": sizes.tune_length,
            "tokens_per_step": sizes.tune_step_tokens,
            "device": trial.device,
        }
        needs = (search, folder.prose, f"{folder.attribution(donor)}/{ATTRIBUTION_FILE}")
        yield Job(
            "tune", str(donor), ("sae-merge", "tune", f"{at}.yml", "--out", at), needs,
            partial(trial.stands, f"{at}/{TUNE_FILE}"),
            partial(_prepare_tune, trial, folder.root / f"{at}.yml", dump_yaml(settings)),
        )  # fmt: skip


def _prepare_tune(trial: Trial, file: Path, text: str) -> None:
    write_passages(trial.folder, trial.folder.prose, trial.sizes)
    _write(file, text)


def _rounding(trial: Trial) -> Iterator[Job]:
    """Of the first donor of all."""
    folder = trial.folder
    for donor in trial.donors[:1]:
        for rounding in ROUNDINGS:
            at = folder.experiment(donor, rounding)
            needs = (
                f"{folder.experiment(donor)}/{EXPERIMENT_FILE}",  # its tasks are written by then
                folder.donor_record(donor),
            )
            text = rounding_text(folder, donor, trial.sizes, rounding, trial.device)
            yield Job(
                "rounding", f"{donor}-{rounding}", _experiment_words(at), needs,
                partial(_is_whole, trial, at), partial(_write, folder.root / f"{at}.yml", text),
            )  # fmt: skip


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Stage:
    """One row."""

    name: str
    makes: str
    """What it makes, for the help of --only."""
    jobs: Callable[[Trial], Iterator[Job]]
    """Its commands, in the order of their urgency."""


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("donors", "the base trained on each ability by each seed", _donors),
        Stage("saes", "an SAE for every layer", _saes),
        Stage("diagnoses", "each ability's diagnosis, against prose and a text near it", _diagnoses),
        Stage("attributions", "each donor's gain and damage by layer, every layer alone too", _attributions),
        Stage("tunes", "each donor's best edit within the budget of damage", _tunes),
        Stage("experiments", "each donor's arms: picks, controls, the damping curve", _experiments),
        Stage("rounding", "all layers of one donor, rounded in other ways", _rounding),
    )
}
"""All of them by name, in their order."""


def jobs_of(trial: Trial, stages: Sequence[str]) -> list[Job]:
    """The commands of some stages, in the order of their urgency: all of the first seed, then the next."""
    jobs: dict[str, Job] = {}
    for count in range(1, len(trial.seeds) + 1):
        of_seeds = replace(trial, seeds=trial.seeds[:count])
        for job in (job for name in stages for job in STAGES[name].jobs(of_seeds)):
            jobs.setdefault(job.called, job)
    return list(jobs.values())
