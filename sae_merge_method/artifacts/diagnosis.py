"""``diagnosis/diagnosis.json``: which model read which texts, what was measured, every setting behind it.

It holds no clock time and no host name: the same inputs write the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.dictionary_scores import DictionaryScores, dictionary_sentence
from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis, outliers_sentence
from sae_merge_method.artifacts.schema import Record, read_record, write_record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.errors import UsageError
from sae_merge_method.layers import Unit

if TYPE_CHECKING:
    from pandas import DataFrame

DIAGNOSIS_FILE = "diagnosis.json"
USAGE_FILE = "features.safetensors"
PLOT_FILE = "specificity.png"
REPORT_FILE = "diagnosis.html"
SCHEMA_VERSION: Literal[5] = 5


class ModelSource(Record):
    """The language model that was diagnosed."""

    id: str
    """Hub id or folder of the model, as the user wrote it."""
    revision: str | None = None
    """The model's commit on the Hub; null for a folder."""
    config_sha256: str
    """sha256 of the model's config.json."""
    fingerprint: Fingerprint
    """Of the weights that were diagnosed: tells another model, or another fine-tune, from this one."""
    n_layers: int = Field(ge=1)
    """Decoder layers of the text model."""
    d_model: int = Field(ge=1)
    """Width of the residual stream."""
    begins_with: str | None = None
    """The token before every document; null where nothing is put there, so that a document's own first token
    stands at the model's first position and does not count."""
    adds_begin: bool = True
    """Whether the tokenizer adds that token by itself."""


Units = Literal["corrected", "raw"]
"""Scores less what shuffled labels give, or as they are."""


class OtherScores(Record):
    """Every layer's score as it would be if it were come by in another way."""

    kind: Literal["score", "half"]
    """What is other: the formula, or the documents, of which it is one half."""
    name: str
    """Name of the other score, or of the half."""
    scores: dict[UnitField, float]
    """Score by layer index, or part of a layer such as 11.attn, less the mean under shuffled labels where
    labels were shuffled."""


class Corpus(Record):
    """One side of the comparison."""

    name: str
    """File or data set of the corpus, as the user wrote it."""
    sha256: str
    """sha256 of the corpus' file as it lies on disk; of a data set, over the documents taken."""
    documents: int = Field(ge=1)
    """Documents that were encoded."""
    sources: int | None = Field(default=None, ge=1)
    """Sources that the documents are parts of; null where no field tells them."""
    tokens: int = Field(ge=1)
    """Tokens that carry text and were encoded: neither special nor at the model's first position. A layer
    counts them less its outliers."""
    documents_read: int = Field(ge=1)
    """Documents of the corpus that have a counted token, before the sides were matched."""
    tokens_read: int = Field(ge=1)
    """Counted tokens of the corpus, before the sides were matched."""
    exact_duplicates: int = Field(default=0, ge=0)
    """Documents that were encoded and say the same as one of another source, word for word."""
    near_duplicates: int = Field(default=0, ge=0)
    """Documents that were encoded and say nearly the same as one of another source: word for word not
    counted."""

    own_first: int = Field(default=0, ge=0)
    """Documents that were encoded and whose own first token stands at the model's first position, where
    nothing counts."""
    class_shares: dict[str, float] = Field(default_factory=dict)
    """Share of the counted tokens that is of each class."""

    @property
    def tokens_a_document(self) -> float:
        """Mean length of a document that was encoded."""
        return self.tokens / self.documents


class Diagnosis(Record):
    """One run of ``sae-merge diagnose``."""

    schema_version: Literal[5] = SCHEMA_VERSION
    """Version of this file's format."""
    model: ModelSource
    """The diagnosed model, by name and by hash."""
    score: str
    """Name of the specificity score, for example "kl_bits"."""
    layers: tuple[LayerDiagnosis, ...] = Field(min_length=1)
    """The diagnosed layers, those that have an SAE, in ascending order; or their parts, where SAEs listen to
    those."""
    target: Corpus
    """Text of the ability to edit."""
    controls: tuple[Corpus, ...] = Field(min_length=1)
    """Texts that the target is compared with; a layer's score is the least over them."""
    others: tuple[OtherScores, ...] = ()
    """The layers' scores by every other formula, and by this one on either half of the sources."""
    dictionaries: tuple[DictionaryScores, ...] = ()
    """The layers' scores by dictionaries that nobody trained, on the same texts."""
    settings: dict[str, str | int | float | bool | None]
    """Everything else that can change a number: dtype, device, lengths, seeds, epsilon."""

    def scores(self, units: Units = "corrected") -> dict[Unit, float]:
        """Score by layer index, or by part of a layer.

        Args:
            units: Corrected scores, less the mean under shuffled labels, mean the same whatever the number of
                documents, the width of the SAE and its L0: 0 is what one kind of text on both sides gives.
                Raw scores are given where no labels were shuffled, too.
        """
        if units == "raw" or not self.has_null:
            return {entry.unit: entry.score for entry in self.layers}
        return {entry.unit: entry.null.corrected for entry in self.layers if entry.null}

    def layer_scores(self, units: Units = "corrected") -> dict[int, float]:
        """The same of a diagnosis of whole layers, for what is of whole layers alone.

        Raises:
            UsageError: It is of parts of layers.
        """
        scores = self.scores(units)
        whole = {unit: score for unit, score in scores.items() if isinstance(unit, int)}
        if len(whole) < len(scores):
            raise UsageError(
                f"the diagnosis is of modules, such as {next(iter(scores))}: expected one of whole layers, "
                "by SAEs of a block's output"
            )
        return whole

    def without_saes(self) -> str | None:
        """How much of the scores is there without the SAEs, in a sentence; None where no other dictionary was
        used."""
        return dictionary_sentence(self.score, self.scores(), self.dictionaries)

    def outliers(self) -> str | None:
        """What a user should know of the tokens with outlying norms, in a sentence; None where there are
        none."""
        return outliers_sentence(self.layers, self.settings.get("outlier_norm"))

    @property
    def units(self) -> tuple[Unit, ...]:
        """What was diagnosed: layers, or parts of layers."""
        return tuple(entry.unit for entry in self.layers)

    @property
    def has_null(self) -> bool:
        """Whether labels were shuffled."""
        return all(entry.null for entry in self.layers)

    def q_values(self) -> dict[Unit, float] | None:
        """Benjamini-Hochberg q by layer index or part of a layer, or None where no null was computed."""
        known = {entry.unit: entry.null.q for entry in self.layers if entry.null}
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
