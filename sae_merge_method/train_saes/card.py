"""The card of a folder of SAEs: how they were trained, what they keep, how they are read and shared."""

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from sae_merge_method import __version__
from sae_merge_method.artifacts.sae_training import TRAINING_FILE, SaeTraining
from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.loaded.sites import HOOKS
from sae_merge_method.models.repository import is_hub_id
from sae_merge_method.reports import numbers
from sae_merge_method.reports.grid import as_markdown, plain_grid
from sae_merge_method.reports.markdown import code, fence, plain, section
from sae_merge_method.train_saes.tables import HOW_READ, saes_grid, texts_grid, training_head


def card(training: SaeTraining) -> str:
    """The whole README.md: same report, same text."""
    parts = [
        f"---\n{dump_yaml(_front_matter(training))}---",
        f"# Sparse autoencoders of {plain(training.model.id)}",
        _opening(training),
        section(
            "What they keep",
            plain(HOW_READ),
            *map(plain, training_head(training)[1:]),
            as_markdown(saes_grid(training)),
        ),
        section("What they were trained on", as_markdown(texts_grid(training)), _training(training)),
        section("How they are read", _reading(training)),
        section("How they are shared", fence("hf upload OWNER/NAME .", "sh")),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(training: SaeTraining) -> dict[str, object]:
    """What the Hub reads; its licence is its owner's to state."""
    base = {"base_model": training.model.id} if is_hub_id(training.model.id) else {}
    return {**base, "library_name": "saelens", "tags": ["sae", "sparse-autoencoder", "sae-merge"]}


def _opening(training: SaeTraining) -> str:
    revision = f", revision {code(training.model.revision)}" if training.model.revision else ""
    numbers_of = Counter(one.hook for one in training.saes)
    what = {name: f"{row.description} " for name, row in HOOKS.items()}
    saes = ", ".join(f"{n} on {what.get(hook, '')}({code(hook)})" for hook, n in numbers_of.items())
    config = code(training.model.config_sha256[:16])
    return (
        f"Trained by {code(f'sae-merge train-saes {__version__}')} on the activations of "
        f"{code(training.model.id)}{revision} (sha256 of its config.json {config}): {saes}. "
        f"The whole report is {code(TRAINING_FILE)}."
    )


def _training(training: SaeTraining) -> str:
    settings = [
        [name, "not set" if value is None else str(value)] for name, value in training.settings.items()
    ]
    return (
        f"BatchTopK SAEs of SAELens, {numbers.count(training.steps)} steps each. Special tokens, the model's "
        f"first position and tokens of more than {OUTLIER_NORM:g} times their layer's median norm were left "
        "out; activations were scaled to a mean norm of the square root of their width, which is folded into "
        "the weights.\n\n"
        + as_markdown(plain_grid(("setting", "value"), settings, words=("setting", "value")))
    )


def _reading(training: SaeTraining) -> str:
    first = training.saes[0]
    return (
        fence(f'from sae_lens import SAE\n\nsae = SAE.load_from_disk("{first.folder}")', "python")
        + "\n\n"
        + fence("\n".join(_diagnoses(training)), "sh")
    )


def _diagnoses(training: SaeTraining) -> Iterator[str]:
    """The commands that listen with them: whole layers and parts are not ranked together."""
    here = PurePosixPath()  # where SAEs of layers' output lie; those of parts lie in a folder for each hook
    folders = dict.fromkeys(PurePosixPath(one.folder).parent for one in training.saes)
    whole, parts = ([one for one in folders if (one == here) is is_here] for is_here in (True, False))
    for listened, out in ((whole, "diagnosis"), (parts, "diagnosis-of-parts")):
        if listened:
            saes = " ".join(f"--sae {shlex.quote(str(folder))}" for folder in listened)
            yield f"sae-merge diagnose --model MODEL {saes} --target TARGET --control CONTROL --out {out}"
