"""``sae-merge experiment run`` from end to end; killed at any moment and called again, it goes on.

What stands is kept: the diagnosis, the plan while its inputs are the same, and every arm whose record
says that it was made from the same things as it would be now.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from os import PathLike
from pathlib import Path

from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE
from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE
from sae_merge_method.artifacts.experiment import EXPERIMENT_FILE, PAGE_FILE, TABLE_FILE, Experiment
from sae_merge_method.artifacts.experiment_plan import (
    ARM_FILE,
    ARMS_FOLDER,
    PLAN_FILE,
    RESULTS_FOLDER,
    ExperimentPlan,
)
from sae_merge_method.artifacts.lm_eval_results import read_results
from sae_merge_method.artifacts.schema import read_settings
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.experiment.arm_models import MERGED_FOLDER
from sae_merge_method.experiment.evidence import (
    ATTRIBUTION_FOLDER,
    DIAGNOSIS_FOLDER,
    find_evidence,
    keep_attribution,
)
from sae_merge_method.experiment.forecast import Forecast, forecast
from sae_merge_method.experiment.metric import require_judging
from sae_merge_method.experiment.needs import is_here, own_donors
from sae_merge_method.experiment.places import Runner, choose_runner
from sae_merge_method.experiment.plan import write_planned
from sae_merge_method.experiment.processes import LOGS_FOLDER
from sae_merge_method.experiment.prospect import Prospect, look_ahead
from sae_merge_method.experiment.report.write import write_report
from sae_merge_method.experiment.resume import is_done, jobs_of, not_done, standing_plan
from sae_merge_method.experiment.settings import (
    SETTINGS_FILE,
    ExperimentSettings,
    RunSettings,
    settings_text,
)
from sae_merge_method.experiment.worker import ArmJob, GeneralCorpus, Setup
from sae_merge_method.files.lock import forget_other_machines, locked
from sae_merge_method.files.writing import write_text

LOG = logging.getLogger(__name__)

_OURS = frozenset(
    (
        PLAN_FILE, ARMS_FOLDER, DIAGNOSIS_FOLDER, ATTRIBUTION_FOLDER, MERGED_FOLDER, LOGS_FOLDER,
        SETTINGS_FILE, EXPERIMENT_FILE, TABLE_FILE, PAGE_FILE, ATTRIBUTION_FILE,
    )
)  # fmt: skip


class ExperimentError(SaeMergeError):
    """Some arms could not be run; the report has the others."""


FileName = str | PathLike[str]


def run_experiment(
    settings: ExperimentSettings | FileName, out: FileName, how: RunSettings | None = None
) -> Experiment:
    """Run every arm that is not done, and write the report.

    Args:
        settings: What the experiment is, or its YAML file.
        out: Folder where it goes, or goes on.
        how: How it is run; by one process of this machine unless given.

    Raises:
        UsageError: The folder holds something else, or an experiment of other settings.
        InUseError: Another process is at work in it.
        ExperimentError: Some arms failed; what they died of is in the message.
        SaeMergeError: Anything that can be known to be wrong before the first arm.
    """
    asked, folder, how = _asked(settings), Path(out), how or RunSettings()
    with _folder_held(folder):
        general = _general_corpus(asked)
        plan, waiting = _prepare(asked, general, folder, how.overwrite)
        setup = Setup(
            folder,
            Path.cwd(),
            plan.base,
            asked.evaluation,
            general,
            how.keep,
            asked.allow_mismatch,
            metric=plan.metric,
        )
        failed = _run(setup, plan, waiting, choose_runner(how))
        if not is_done(folder, "base"):
            raise ExperimentError(_failures(failed, folder))
        report = write_report(folder)
    if failed:
        raise ExperimentError(_failures(failed, folder))
    return report


def plan_experiment(
    settings: ExperimentSettings | FileName, out: FileName, *, diagnose: bool = False
) -> Prospect | Forecast:
    """Say what an experiment takes and can show; no arm is run.

    Where models and diagnosis are at hand, all arms are decided on and their recipes written. Where they are
    not, nothing is written, fetched or diagnosed, and what waits for them is left out.

    Args:
        settings: What the experiment is, or its YAML file.
        out: Its folder.
        diagnose: Fetch the models and make the diagnosis first, as a run would.

    Raises:
        SaeMergeError: As :func:`run_experiment`.
    """
    asked, folder = _asked(settings), Path(out)
    _require_ours(folder)
    if not (diagnose or _is_at_hand(asked, folder)):
        return forecast(asked)
    with _folder_held(folder):
        general = _general_corpus(asked)
        plan, _ = _prepare(asked, general, folder, overwrite=False)
        done = frozenset(arm.name for arm in plan.arms if is_done(folder, arm.name))
        return look_ahead(folder, plan, done, asked, general)


def _is_at_hand(settings: ExperimentSettings, folder: Path) -> bool:
    """Whether all that decides on the arms is on this machine."""
    made = (
        (settings.diagnosis, DIAGNOSIS_FOLDER, DIAGNOSIS_FILE),
        (settings.attribution, ATTRIBUTION_FOLDER, ATTRIBUTION_FILE),
    )
    stands = all(not isinstance(asked, dict) or (folder / name / file).exists() for asked, name, file in made)
    return stands and all(map(is_here, (settings.base, settings.donor, *own_donors(settings))))


def _asked(settings: ExperimentSettings | FileName) -> ExperimentSettings:
    if isinstance(settings, ExperimentSettings):
        return settings
    return read_settings(ExperimentSettings, {}, Path(settings))


def _prepare(
    settings: ExperimentSettings, general: GeneralCorpus | None, folder: Path, overwrite: bool
) -> tuple[ExperimentPlan, list[ArmJob]]:
    """The plan, written once it is known that no arm stands in its way, and the arms to run."""
    evidence = find_evidence(settings, folder, overwrite=overwrite)
    planned = standing_plan(settings, evidence, folder, overwrite)
    waiting = not_done(jobs_of(settings, planned, general, folder), folder, overwrite)
    for job in waiting:
        # What was made from other things is no part of any report from now on.
        (folder / ARMS_FOLDER / job.arm.name / ARM_FILE).unlink(missing_ok=True)
    keep_attribution(evidence, folder)
    write_planned(folder, planned)
    write_text(folder / SETTINGS_FILE, settings_text(settings))
    return planned.plan, waiting


@contextmanager
def _folder_held(folder: Path) -> Iterator[None]:
    """Hold an experiment's folder, made where there is none."""
    _require_ours(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder):
            forget_other_machines(folder)  # of an earlier run's workers, ended with it
            yield
    finally:
        with suppress(OSError):  # something is in it: so it should be
            folder.rmdir()


def _require_ours(folder: Path) -> None:
    """Refuse a folder with anything in it that an experiment does not make."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"expected a folder for the experiment at {folder}, found a file")
    strange = sorted(
        file.name
        for file in (folder.iterdir() if folder.exists() else ())
        if file.name not in _OURS and not file.name.startswith(".")
    )
    if strange:
        raise UsageError(f"{folder} holds something else ({strange[0]}): name another folder")


def _run(setup: Setup, plan: ExperimentPlan, waiting: Sequence[ArmJob], runner: Runner) -> dict[str, str]:
    """Run the arms; what each that failed died of."""
    failed: dict[str, str] = {}
    if not waiting:
        return failed
    _require_metric(setup.folder, plan.metric)
    with (
        logging_redirect_tqdm(),
        tqdm(
            total=len(plan.arms), initial=len(plan.arms) - len(waiting), desc="arms", unit="arm", disable=None
        ) as bar,
        closing(runner(setup, waiting, lambda underway: bar.set_postfix_str(str(underway)))) as outcomes,
    ):
        for outcome in outcomes:
            bar.update()
            bar.set_postfix_str(outcome.arm)
            # Also of a worker that was lost before it could tell: what its record says is whole.
            if outcome.error is None or is_done(setup.folder, outcome.arm):
                LOG.info("%s: done", outcome.arm)
                if outcome.arm == "base":
                    _require_metric(setup.folder, plan.metric)
                continue
            failed[outcome.arm] = outcome.error
            LOG.warning("%s: %s", outcome.arm, outcome.error)
            if outcome.fatal:
                raise UsageError(outcome.error)
            if outcome.arm == "base":
                break  # nothing can be held against it
    return failed


def _require_metric(folder: Path, metric: str) -> None:
    if is_done(folder, "base"):
        require_judging(read_results(folder / ARMS_FOLDER / "base" / RESULTS_FOLDER), metric)


def _failures(failed: dict[str, str], folder: Path) -> str:
    lines = [f"{len(failed)} of the arms failed; the same command runs them again:"]
    lines += [f"  {name}: {error}" for name, error in failed.items()]
    to_read = {"the report of the others": folder / PAGE_FILE, "logs": folder / LOGS_FOLDER}
    return "\n".join(lines + [f"  {what}: {path}" for what, path in to_read.items() if path.exists()])


def _general_corpus(settings: ExperimentSettings) -> GeneralCorpus | None:
    asked = settings.general_loss
    if asked is None:
        return None
    corpus = read_corpus(asked.corpus, asked.text_field, asked.max_documents)
    if len(corpus.documents) < 2:
        raise UsageError(f"general_loss.corpus: expected two documents or more in {asked.corpus}, found one")
    return GeneralCorpus(
        corpus.name, corpus.sha256, tuple(text[: asked.max_characters] for text in corpus.documents)
    )
