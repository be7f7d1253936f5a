"""``diagnosis/``: what was measured in each layer, every setting behind it, and the draws of its nulls.

It holds no clock time and no host name: the same inputs write the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record, read_record, write_record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.writing import write_bytes

if TYPE_CHECKING:
    from pandas import DataFrame

DIAGNOSIS_FILE = "diagnosis.json"
USAGE_FILE = "features.safetensors"
PLOT_FILE = "specificity.png"
REPORT_FILE = "diagnosis.html"
SCHEMA_VERSION: Literal[1] = 1


class ModelSource(Record):
    """The language model that was diagnosed."""

    id: str
    """Hub id or folder of the model, as the user wrote it."""
    revision: str | None = None
    """The model's commit on the Hub; null for a folder."""
    config_sha256: str
    """sha256 of the model's config.json: tells another model under the same name."""
    n_layers: int = Field(ge=1)
    """Decoder layers of the text model."""
    d_model: int = Field(ge=1)
    """Width of the residual stream."""


class SaeSource(Record):
    """The sparse autoencoder of one layer."""

    release: str
    """SAELens release, or folder template, as the user wrote it."""
    id: str
    """The SAE's id inside the release; empty for a local folder."""
    sha256: str
    """sha256 over the encoder's parameters as they were used."""
    architecture: str
    """SAELens' architecture name, for example "jumprelu"."""
    hook_point: str
    """The activation that the SAE was trained on, as its own config names it."""
    d_sae: int = Field(ge=1)
    """Number of features."""
    neuronpedia: str | None = None
    """Id under which neuronpedia.org shows the SAE's features; null where it is not known to."""


class TopFeature(Record):
    """One feature that tells the target from the control."""

    feature: int = Field(ge=0)
    """Index of the feature in its SAE."""
    share: float
    """The feature's contribution as a share of the layer's score; for a mean of the top k, of their sum."""
    target: float = Field(ge=0)
    """Mean activation of the feature over target documents."""
    control: float = Field(ge=0)
    """Mean activation of the feature over control documents."""
    target_rate: float = Field(ge=0, le=1)
    """Share of counted tokens on which the feature fires, mean over target documents."""
    control_rate: float = Field(ge=0, le=1)
    """Share of counted tokens on which the feature fires, mean over control documents."""
    snippets: tuple[str, ...] = ()
    """Target text around the feature's strongest tokens, each of which stands between guillemets."""


class Null(Record):
    """A layer's score under shuffled document labels: what it would be if both sides had one source."""

    permutations: int = Field(ge=1)
    """Number of shuffles of the document labels."""
    mean: float
    """Mean score over the shuffles, in the unit of the score."""
    sd: float = Field(ge=0)
    """Standard deviation of the score over the shuffles, in the unit of the score."""
    high: float
    """95th percentile of the score over the shuffles: one in twenty scores higher."""
    p: float = Field(gt=0, le=1)
    """One-sided p of the score: (1 + shuffles that score as high) / (1 + shuffles)."""
    q: float = Field(gt=0, le=1)
    """Benjamini-Hochberg q of the score's p over all diagnosed layers."""
    corrected: float
    """The layer's score less the mean over the shuffles."""


class Interval(Record):
    """Bootstrap over documents: where the score would be with unlimited documents.

    It may lie below ``LayerDiagnosis.score``, which few documents push up. Scores of the top k
    have none: it would not cover the truth.
    """

    level: float = Field(gt=0, lt=1)
    """Level of the interval, for example 0.95."""
    low: float
    """Lower end of the interval, in the unit of the score."""
    high: float
    """Upper end of the interval, in the unit of the score."""
    estimate: float
    """The score with the bootstrap's estimate of its bias taken out, in the unit of the score."""
    resamples: int = Field(ge=1)
    """Number of resamples of the documents."""


class LayerDiagnosis(Record):
    """What was measured in one layer."""

    layer: int = Field(ge=0)
    """Index of the decoder layer."""
    score: float
    """Specificity of the layer, in the unit of the diagnosis' score."""
    null: Null | None = None
    """The score under shuffled document labels; null where none were shuffled."""
    interval: Interval | None = None
    """Where unlimited documents would put the score; null without resamples, and for scores of the top k."""
    explained_variance: float
    """Share of the residual stream's variance that the SAE reconstructs, over a sample of counted tokens."""
    l0: float = Field(ge=0)
    """Mean number of active features a counted token."""
    sae: SaeSource
    """The sparse autoencoder of the layer."""
    top_features: tuple[TopFeature, ...] = ()
    """The features that contribute most to the score, largest first."""


class Corpus(Record):
    """One side of the comparison."""

    name: str
    """File or data set of the corpus, as the user wrote it."""
    sha256: str
    """sha256 of the corpus' file as it lies on disk; of a data set, over the documents taken."""
    documents: int = Field(ge=1)
    """Documents of the corpus that have a counted token."""
    tokens: int = Field(ge=1)
    """Counted tokens of the corpus: special tokens left out."""


class Diagnosis(Record):
    """One run of ``sae-merge diagnose``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of this file's format."""
    model: ModelSource
    """The diagnosed model, by name and by hash."""
    score: str
    """Name of the specificity score, for example "kl_bits"."""
    layers: tuple[LayerDiagnosis, ...] = Field(min_length=1)
    """The diagnosed layers, those that have an SAE, in ascending order."""
    target: Corpus
    """Text of the ability to edit."""
    control: Corpus
    """General text that the target is compared with."""
    settings: dict[str, str | int | float | bool | None]
    """Everything else that can change a number: dtype, device, lengths, seeds, epsilon."""

    def scores(self) -> dict[int, float]:
        """Score by layer index."""
        return {entry.layer: entry.score for entry in self.layers}

    def q_values(self) -> dict[int, float] | None:
        """Benjamini-Hochberg q by layer index, or None where no null was computed."""
        known = {entry.layer: entry.null.q for entry in self.layers if entry.null}
        return known if len(known) == len(self.layers) else None

    def to_frame(self) -> "DataFrame":
        """The layers as a pandas data frame, a row each: score, null, interval, explained variance, SAE.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(LayerDiagnosis, self.layers)


def diagnosis_path(path: str | Path) -> Path:
    """The diagnosis file, given it or its folder."""
    path = Path(path)
    return path / DIAGNOSIS_FILE if path.is_dir() else path


def read_diagnosis(path: str | Path) -> Diagnosis:
    """Read a diagnosis from its folder or file.

    Raises:
        ArtifactError: Missing or not a diagnosis.
    """
    return read_record(diagnosis_path(path), Diagnosis, "a diagnosis")


def write_diagnosis(folder: Path, diagnosis: Diagnosis) -> None:
    """Write ``diagnosis.json`` into ``folder``."""
    write_record(folder / DIAGNOSIS_FILE, diagnosis)


DRAWS_FILE = "draws.safetensors"


class ScoreDraws(NamedTuple):
    """Scores of L layers, in the order of ``layers``."""

    layers: npt.NDArray[np.int64]
    """(L,)"""
    null: npt.NDArray[np.float64]
    """(P, L) under shuffled document labels."""
    bootstrap: npt.NDArray[np.float64]
    """(R, L) over resampled documents."""


def write_draws(folder: Path, draws: ScoreDraws) -> None:
    """Write the draws into ``folder``: same draws, same bytes."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(value) for name, value in draws._asdict().items()}
    write_bytes(folder / DRAWS_FILE, save(tensors))


def read_draws(folder: Path) -> ScoreDraws:
    """Read the draws of a diagnosis.

    Raises:
        ArtifactError: Missing, or not written by this package.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / DRAWS_FILE
    try:
        return ScoreDraws(**load_file(path))
    except OSError as error:
        raise ArtifactError(f"cannot read score draws at {path}: {error}") from error
    except (SafetensorError, TypeError) as error:
        raise ArtifactError(f"{path} holds no score draws of a diagnosis: {error}") from error
