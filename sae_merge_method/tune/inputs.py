"""What an interrupted search must have in common with the one that goes on with it."""

from pathlib import Path

from sae_merge_method import __version__
from sae_merge_method.artifacts.schema import flat
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.evaluation.tasks import folders_asked
from sae_merge_method.files.stamps import COMPUTING, EVALUATING
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.identity.made_from import of_model, of_packages, of_tasks, of_texts, of_weights
from sae_merge_method.in_memory.edited_model import EditedModel
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
    tasks, model = asked.evaluation or asked.guard(), edited.model
    donors = zip(asked.donor, edited.checkpoints[1:], strict=True)
    return {
        "version": __version__,
        **of_packages(EVALUATING if tasks else COMPUTING),
        **(of_tasks(folders_asked(tasks), without=folder) if tasks else {}),
        **flat({name: getattr(asked, name) for name in _MEASURED_BY}),
        # As they are really used: where "auto" was asked, it may come to another one the next time.
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        **of_texts((corpus.name, corpus.sha256) for corpus in corpora),
        **of_model("base", model),
        **{key: one for name, donor in donors for key, one in of_weights(name, fingerprint(donor)).items()},
    }
