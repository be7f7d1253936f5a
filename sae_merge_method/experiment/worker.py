"""What a worker does: have arm after arm evaluated, and leave its record. Where it runs is for others.

Every part is written whole or not at all, the record last: a worker killed at any moment leaves an
arm that is either done or not begun.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.experiment_plan import (
    ARMS_FOLDER,
    RESULTS_FOLDER,
    ArmRecord,
    GeneralText,
    write_arm,
)
from sae_merge_method.errors import SaeMergeError, UsageError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.evaluation.watching import Tell, watched
from sae_merge_method.experiment.arm_models import ArmModels
from sae_merge_method.experiment.likelihoods import log_likelihoods, require_numbers
from sae_merge_method.experiment.metric import require_one_way
from sae_merge_method.files.folders import new_folder

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class GeneralCorpus:
    """The text that damage is measured on."""

    name: str
    sha256: str
    documents: tuple[str, ...]


@dataclass(frozen=True)
class Setup:
    """What all arms have in common."""

    folder: Path
    """The experiment's, relative to ``working_folder``."""
    working_folder: Path
    """Absolute: what relative paths of recipes and models are relative to."""
    base: str
    evaluation: EvaluationSettings
    general: GeneralCorpus | None
    keep: bool
    """Whether merged checkpoints stay after their evaluation."""
    allow_mismatch: tuple[str, ...] = ()
    """Keys of config.json in which base and donor may differ."""
    workers: int = 1
    """Processes that share the machine's memory and disk."""
    metric: str | None = None
    """What arms are to be judged by; None where nobody judges them."""


@dataclass(frozen=True)
class ArmJob:
    """One arm to run."""

    arm: ArmIdentity
    model: str | None
    """Model to evaluate as it is; None where the arm's recipe is to be merged."""
    key: str
    depends_on: dict[str, str]


class ArmEnd(NamedTuple):
    """How an arm ended."""

    arm: str
    error: str | None = None
    fatal: bool = False
    """Whether the others would end the same way."""


class Underway(NamedTuple):
    """How far an arm is."""

    arm: str
    answered: int
    """Requests, of one kind: first the general text's documents, then a task's, kind after kind."""
    requests: int

    def __str__(self) -> str:
        return f"{self.arm}: {self.answered:,} of {self.requests:,} requests"


class ArmRunner:
    """Runs arms one after another in this process."""

    def __init__(self, setup: Setup, tell: Callable[[Underway], None] = lambda _: None) -> None:
        """Nothing is loaded yet.

        Args:
            setup: What all arms have in common.
            tell: Called now and then with how far an arm is.
        """
        os.chdir(setup.working_folder)
        self.setup = setup
        self._tell = tell
        self._harness: Harness | None = None
        self._models: ArmModels | None = None

    def run(self, job: ArmJob) -> ArmEnd:
        """Run one arm; what goes wrong is told in the outcome, the traceback in the log."""
        try:
            if self._harness is None or self._models is None:
                self._harness, self._models = self._begun()
            self._run(self._harness, self._models, job)
        except UsageError as error:
            return ArmEnd(job.arm.name, str(error), fatal=True)
        except SaeMergeError as error:
            return ArmEnd(job.arm.name, str(error))
        except Exception as error:
            # A fault of a host's: lm-eval, transformers and vLLM raise whatever they like.
            LOG.exception("arm %s", job.arm.name)
            return ArmEnd(job.arm.name, f"{type(error).__name__}: {error}")
        return ArmEnd(job.arm.name)

    def _begun(self) -> tuple[Harness, ArmModels]:
        setup = self.setup
        harness = Harness(setup.evaluation, setup.base)
        if setup.metric is not None:
            require_one_way(setup.metric, harness.directions(setup.metric))
        models = ArmModels(
            harness,
            setup.evaluation,
            setup.base,
            setup.folder,
            keep=setup.keep,
            allow_mismatch=setup.allow_mismatch,
            workers=setup.workers,
        )
        return harness, models

    def _run(self, harness: Harness, models: ArmModels, job: ArmJob) -> None:
        LOG.info("arm %s", job.arm.name)
        folder = self.setup.folder / ARMS_FOLDER / job.arm.name

        def tell(answered: int, requests: int) -> None:
            self._tell(Underway(job.arm.name, answered, requests))

        with models.open(job.arm.name, job.model, folder) as (lm, model, report), watched(tell):
            # Before the problems, which take hours: a loss that cannot be had costs no answers.
            general = _loss_on(self.setup.general, lm, tell) if self.setup.general else None
            with new_folder(folder / RESULTS_FOLDER, overwrite=True) as results:
                cut_off = harness.score(lm, model, results)
        write_arm(
            folder,
            ArmRecord(
                **dict(job.arm),
                key=job.key,
                depends_on=job.depends_on,
                energy=report.energy if report else job.arm.planned_energy or 0.0,
                realised=report.realised if report else None,
                rounding=report.rounding if report else None,
                result_sha256=report.result_sha256 if report else None,
                cut_off=cut_off,
                general=general,
            ),
        )


def _loss_on(text: GeneralCorpus, lm: "TemplateLM", tell: Tell) -> GeneralText:
    nats, tokens = log_likelihoods(lm, text.documents, tell)
    require_numbers(text.name, nats)
    return GeneralText(name=text.name, sha256=text.sha256, nats=nats, tokens=tokens)
