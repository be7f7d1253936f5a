"""``train_saes.json`` in a folder of SAEs: on what they were trained, and what they keep of text held out.

It holds no clock time and no host name: the same inputs write the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.diagnosis import ModelSource
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record, read_record, write_record

if TYPE_CHECKING:
    from pandas import DataFrame

TRAINING_FILE = "train_saes.json"


class TrainingText(Record):
    """One corpus that SAEs were trained on."""

    name: str
    """File or data set of the corpus, as the user wrote it, without its weight."""
    sha256: str
    """sha256 of the corpus' file as it lies on disk; of a data set, over the documents taken."""
    weight: float = Field(gt=0)
    """How many of the tokens were to come from this corpus, beside the other weights."""
    tokens: int = Field(ge=1)
    """Counted tokens that there are to train on, once through the corpus: as much of it as was needed."""
    tokens_read: int = Field(ge=0)
    """Counted tokens that the model read of it for training, repetitions included."""
    held_out: int = Field(ge=0)
    """Counted tokens that were held out to judge the SAEs by."""


class SplicedLoss(Record):
    """The model's loss on held-out text, with and without the SAE's reconstruction in its activations' place.

    Special tokens, the model's first position and outliers keep their activations in all of them.
    """

    tokens: int = Field(ge=1)
    """Held-out tokens that the loss is the mean over."""
    base: float
    """Cross-entropy of the model as it is, in nats a token."""
    spliced: float
    """Cross-entropy with the reconstruction in the activations' place, in nats a token."""
    ablated: float
    """Cross-entropy with zeros in the activations' place, in nats a token."""
    recovered: float | None
    """Share of what zeros cost that the reconstruction gives back: (ablated - spliced) / (ablated - base);
    null where zeros cost nothing."""


class Judgement(Record):
    """What an SAE, as it is saved, makes of text that nobody trained on."""

    tokens: int = Field(ge=1)
    """Held-out tokens that were encoded, outliers among them."""
    explained_variance: float
    """Share of the activations' variance about their mean that the reconstruction keeps; without outliers."""
    explained_median: float
    """Share of a single token's variance that is explained; the median over tokens, outliers among them."""
    l0: float = Field(ge=0)
    """Active features a token; outliers left out."""
    silent: int = Field(ge=0)
    """Features that fire at no held-out token."""
    outliers: float = Field(ge=0, le=1)
    """Share of the held-out tokens whose norm is so large that they do not count."""
    loss: SplicedLoss
    """What the reconstruction costs the model."""


class TrainedSae(Record):
    """One SAE."""

    layer: int = Field(ge=0)
    """Decoder layer, counted from 0."""
    hook: str
    """What of the layer it reads: resid_post, attn_out or mlp_out."""
    hook_point: str
    """SAELens' name for where it reads, with the layer."""
    folder: str
    """Where it lies within the folder of this file."""
    d_sae: int = Field(ge=1)
    """Number of features."""
    dead: int = Field(ge=0)
    """Features that did not fire in the last steps of the training."""
    revived: int = Field(ge=0)
    """Features that were dead at some time and fired again."""
    outliers: int = Field(ge=0)
    """Tokens of the training whose norm was so large that another token was taken in their place."""
    judgement: Judgement | None
    """What it makes of held-out text; null where none was held out."""


class SaeTraining(Record):
    """SAEs of one model, trained together."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    model: ModelSource
    """The model whose activations they learned."""
    tokens: int = Field(ge=1)
    """Tokens that each SAE was trained on, repetitions included."""
    steps: int = Field(ge=1)
    """Training steps of each SAE."""
    texts: tuple[TrainingText, ...]
    """The corpora, in the order in which they were named."""
    saes: tuple[TrainedSae, ...]
    """The SAEs, by what they read and by layer."""
    settings: dict[str, str | int | float | None]
    """Every setting that can change a number and stands nowhere else here."""

    def to_frame(self) -> "DataFrame":
        """The SAEs as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(TrainedSae, self.saes)


def write_training(folder: Path, training: SaeTraining) -> None:
    """Write the report into the folder of its SAEs."""
    write_record(folder / TRAINING_FILE, training)


def read_training(folder: Path | str) -> SaeTraining:
    """Read the report of a folder of SAEs, or the file itself.

    Raises:
        ArtifactError: There is none, or it cannot be read.
    """
    path = Path(folder)
    return read_record(
        path / TRAINING_FILE if path.is_dir() else path, SaeTraining, "a report of trained SAEs"
    )
