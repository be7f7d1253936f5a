"""What an interrupted search must have in common with the one that goes on with it."""

from pathlib import Path

from sae_merge_method import __version__
from sae_merge_method.artifacts.schema import flat
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.evaluation.tasks import task_folders
from sae_merge_method.files.hashing import json_sha256
from sae_merge_method.files.stamps import COMPUTING, EVALUATING, folder_stamp, package_versions
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.models.fingerprint import fingerprint
from sae_merge_method.tune.settings import TuneSettings

_MEASURED_BY = (
    "base", "donor", "target", "control", "text_field", "group_field", "apply_chat_template", "max_documents",
    "max_length", "tokens_per_batch", "tokens_per_step", "rounding", "rounding_seed",
)  # fmt: skip
"""Settings that decide what a measurement comes to."""


def inputs_of(
    asked: TuneSettings, folder: Path, corpora: list[Corpus], edited: EditedModel
) -> dict[str, str | int | float | None]:
    """All that changes what is measured: not the budget, nor what is searched.

    Answers are kept by the prompts that they answer: how they are scored is told by the files of tasks and by
    versions alone.

    Args:
        asked: The search.
        folder: Its own, which does not count where it lies among the tasks.
        corpora: The problems and the control texts.
        edited: Base and donors.
    """
    tasks = asked.evaluation or asked.guard()
    inputs: dict[str, str | int | float | None] = {
        "version": __version__,
        "packages": package_versions(EVALUATING if tasks else COMPUTING),
    }
    if tasks is not None:
        stamps = [folder_stamp(one, without=folder) for one in task_folders(tasks)]
        inputs["files of tasks"] = json_sha256(stamps)[:16]
    inputs |= flat({name: getattr(asked, name) for name in _MEASURED_BY})
    # As they are really used: where "auto" was asked, it may come to another one the next time.
    model = edited.model
    inputs |= {"dtype": str(model.dtype).removeprefix("torch."), "device": model.device.type}
    inputs[f"config.json of {asked.base}"] = model.config_sha256
    for number, corpus in enumerate(corpora):
        inputs[f"text {number + 1}, {corpus.name}"] = corpus.sha256
    for name, checkpoint in zip((asked.base, *asked.donor), edited.checkpoints, strict=True):
        taken = fingerprint(checkpoint).model_dump(mode="json")
        inputs[f"weights of {name}"] = json_sha256(taken)[:16]
    return inputs
