"""Training SAEs from end to end: a model and texts in, a folder of SAEs in SAELens' format out."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tqdm.auto import tqdm

from sae_merge_method.artifacts.diagnosis import ModelSource
from sae_merge_method.artifacts.sae_training import (
    Judgement,
    SaeTraining,
    TrainedSae,
    TrainingText,
    write_training,
)
from sae_merge_method.errors import SaeMergeError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.writing import write_text
from sae_merge_method.foretold import held_against
from sae_merge_method.loaded.sites import Site
from sae_merge_method.models.devices import format_memory
from sae_merge_method.models.hub import CARD_FILE
from sae_merge_method.train_saes.card import card
from sae_merge_method.train_saes.settings import TrainSaesSettings

if TYPE_CHECKING:
    from sae_merge_method.train_saes.job import Job
    from sae_merge_method.train_saes.quality import SaeToJudge
    from sae_merge_method.train_saes.states import States

logger = logging.getLogger(__name__)


def train_saes(
    settings: TrainSaesSettings,
    out: str | Path,
    *,
    overwrite: bool = False,
    report: Callable[[str], None] = logger.info,
) -> SaeTraining:
    """Train SAEs on a model's activations and write their folder, whole or not at all.

    Killed at any moment and called again with the same settings, it goes on where its last state was saved,
    to the same bytes; Ctrl-C saves one. The bytes depend on the kind of processor and on how many threads
    torch has.

    Args:
        settings: Which SAEs of which model, on what, and how.
        out: Folder to write: ``layer_<n>`` for SAEs of a block's output, ``<hook>/layer_<n>`` for others,
            ``train_saes.json`` and a card.
        overwrite: Replace a folder that stands there.
        report: Told of the plan before work starts, and of what it took.

    Returns:
        The report that was written.

    Raises:
        InUseError: Another process writes there.
        SaeMergeError: Anything about the inputs that makes a training impossible.
    """
    # SAELens and torch take many seconds to import: only who trains waits for them.
    from sae_merge_method.train_saes.job import open_job
    from sae_merge_method.train_saes.states import States

    out = Path(out)
    with new_folder(out, overwrite=overwrite) as folder:
        job = open_job(settings)
        states = States(out, job.inputs())
        training = run_job(job, states, folder, report)
    states.discard(job.sites)
    return training


def run_job(job: "Job", states: "States", folder: Path, report: Callable[[str], None]) -> SaeTraining:
    """Train a job's SAEs from wherever their states are, and write them with their report and card.

    Args:
        job: What is trained.
        states: Where states are kept; they stay.
        folder: Where the SAEs go; it may hold other things.
        report: Told of the plan before work starts, and of what it took.

    Raises:
        SaeMergeError: The disk has no room for states and SAEs.
    """
    from sae_merge_method.train_saes.plan import plan
    from sae_merge_method.train_saes.training import train_group

    planned = plan(job, states)
    report(str(planned))
    _require_room(folder, planned.disk_bytes)
    tokens = job.schedule.steps * job.step_tokens * len(planned.groups)
    with held_against(job.model.device, report) as foretold:
        foretold.seconds, foretold.nbytes = planned.seconds, planned.bytes
        with tqdm(total=tokens, desc="training SAEs", unit="tok", unit_scale=True, disable=None) as bar:
            for group in planned.groups:
                train_group(job, group, states, bar)
        saes = [one for group in planned.groups for one in _finish(job, group, states, folder)]
        training = _training(job, saes)
        write_training(folder, training)
        write_text(folder / CARD_FILE, card(training))
    return training


def _require_room(folder: Path, nbytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise SaeMergeError(
            f"{folder.parent} has no room: states and SAEs take {format_memory(nbytes)}, "
            f"{format_memory(free)} are free; fewer layers (--layers) or features (--width) take less"
        )


def folder_of(site: Site) -> str:
    """Where a site's SAE lies within the folder of all."""
    return f"layer_{site.layer}" if site.hook == "resid_post" else f"{site.hook}/layer_{site.layer}"


class _Finished(NamedTuple):
    dead: int
    revived: int
    outliers: int
    judged: "SaeToJudge"


def _finish(job: "Job", group: Sequence[Site], states: "States", folder: Path) -> list[TrainedSae]:
    """Save the SAEs of one pass, and judge them as they are read again."""
    finished = {site: _save(job, site, states, folder) for site in group}
    judgements: dict[Site, Judgement] = {}
    if job.settings.held_out:
        from sae_merge_method.train_saes.quality import judge

        judgements = judge(
            job.model,
            {site: one.judged for site, one in finished.items()},
            job.held_out,
            job.settings.batch_tokens,
            job.settings.loss_tokens,
            folder,
        )
    return [
        TrainedSae(
            layer=site.layer,
            hook=site.hook,
            hook_point=site.saelens,
            folder=folder_of(site),
            d_sae=job.schedule.d_sae,
            dead=one.dead,
            revived=one.revived,
            outliers=one.outliers,
            judgement=judgements.get(site),
        )
        for site, one in finished.items()
    ]


def _save(job: "Job", site: Site, states: "States", folder: Path) -> _Finished:
    import torch

    from sae_merge_method.saes.saelens import load_folder
    from sae_merge_method.train_saes.quality import SaeToJudge
    from sae_merge_method.train_saes.training import restored

    state = states.load(site, job.model.device)
    assert state is not None, "a group that was trained has left its states"
    learner = restored(job, site, state)
    learner.save(folder / folder_of(site))
    read = load_folder(folder / folder_of(site), torch.float32, job.model.device)
    dead = learner.dead()
    return _Finished(dead.now, dead.revived, int(learner.outliers), SaeToJudge(read.encoder, learner.ground))


def _training(job: "Job", saes: Sequence[TrainedSae]) -> SaeTraining:
    model = job.model
    return SaeTraining(
        model=ModelSource(
            id=model.name.path,
            revision=model.revision,
            config_sha256=model.config_sha256,
            fingerprint=model.fingerprint,
            n_layers=len(model.blocks),
            d_model=model.d_model,
        ),
        tokens=job.schedule.steps * job.step_tokens,
        steps=job.schedule.steps,
        texts=_texts(job),
        saes=tuple(saes),
        settings={
            **job.recorded(),
            "learning_rate": job.schedule.learning_rate,
            "dead_after": job.schedule.dead_after,
        },
    )


def _texts(job: "Job") -> tuple[TrainingText, ...]:
    from sae_merge_method.train_saes.training import blocks_of

    read = [0] * len(job.texts)
    for block in blocks_of(job):
        for one in block.picked:
            read[one.text] += int(one.document.counted.sum())
    return tuple(
        TrainingText(
            name=text.source,
            sha256=text.sha256,
            weight=text.weight,
            tokens=sum(int(one.counted.sum()) for one in text.training),
            tokens_read=tokens,
            held_out=sum(int(one.counted.sum()) for one in text.held_out),
        )
        for text, tokens in zip(job.texts, read, strict=True)
    )
