"""``attribution.json``: how much of a donor's gain and damage lies in which layer, part and tensor.

It holds no clock time: the same inputs write the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.attributed_features import AttributedFeatures
from sae_merge_method.artifacts.attribution_groups import TextGroups, write_groups
from sae_merge_method.artifacts.donor_score import DonorScore, LayerScore
from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.artifacts.schema import Record, read_record, write_record
from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

ATTRIBUTION_FILE = "attribution.json"
ATTRIBUTION_PAGE = "attribution.html"


class AttributedModel(Record):
    """Base or donor of an attribution."""

    id: str
    """Hub id or folder, with its adapter, as the user wrote it."""
    fingerprint: Fingerprint
    """Of its weights, an adapter merged in."""


class Amount(Record):
    """A share of the change of a text's loss, in nats a predicted token; positive where the loss falls."""

    gain: float
    """The amount."""
    low: float | None = None
    """Lower end of its 95 % interval over groups of documents; null where they are all alike."""
    high: float | None = None
    """Upper end of the interval."""


class AttributedLayer(Record):
    """What one decoder layer's task vector does to one text."""

    layer: int = Field(ge=0)
    """Index of the decoder layer."""
    first_order: Amount
    """The slope of the loss at the base along the layer's task vector: its gain at small weights, times
    one."""
    path: Amount | None = None
    """The layer's part of the whole donor's gain: the slope averaged along the path from base to donor. Null
    where only the first order was asked for."""
    share: float | None = None
    """``path`` as a share of what the donor gains on the text; null where the donor's gain is not told from
    none."""
    kinds: dict[str, float] = Field(default_factory=dict)
    """The layer's gain by what its tensors belong to: attention or MLP, as the gate parts them, or norm;
    along the path where there is one."""
    probe: Amount | None = None
    """What the text gains when this layer alone is injected, at weight one; null where it was not asked
    for."""
    by_feature: AttributedFeatures | None = None
    """What of the edit passes through the features of the layer's SAE; null where there is none."""


class AttributedText(Record):
    """One text, and what the donor does to it."""

    name: str
    """File or data set, as the user wrote it."""
    sha256: str
    """sha256 of the file as it lies on disk; of a data set, over the documents taken."""
    documents: int = Field(ge=1)
    """Documents that were read."""
    groups: int = Field(ge=1)
    """Groups of sources that intervals are told from."""
    tokens: int = Field(ge=1)
    """Predicted tokens."""
    answers: bool
    """Whether completions alone were predicted, each after its prompt; else all tokens of every document."""
    base_loss: float
    """The base's loss, in nats a predicted token."""
    donor_loss: float | None = None
    """The loss at the end of the path: the donor's, but for what ``left_out`` names. Null where only the
    first order was asked for."""
    gain: Amount | None = None
    """base_loss less donor_loss."""
    missed: float | None = None
    """What the points on the path miss of the change of the loss, summed over its pieces without regard to
    sign, as a share of it."""
    points: tuple[float, ...] = ()
    """Where on the path from base, 0, to donor, 1, slopes were taken."""
    layers: tuple[AttributedLayer, ...]
    """All decoder layers, ascending."""
    outside: dict[str, float] = Field(default_factory=dict)
    """Gains of what lies outside the layers, by name: embeddings, final norm, head."""
    tensors: dict[str, float] = Field(default_factory=dict)
    """Gain of every tensor, by the base's name for it; along the path where there is one."""

    def attributed(self) -> dict[int, float]:
        """Gain by layer: along the path, or to first order where there is none."""
        return {entry.layer: (entry.path or entry.first_order).gain for entry in self.layers}


class Attribution(Record):
    """One run of ``sae-merge attribute``, or of ``sae-merge diagnose --donor``."""

    schema_version: Literal[3] = 3
    """Version of this file's format."""
    base: AttributedModel
    """The base."""
    donor: AttributedModel
    """The donor whose task vector is attributed."""
    target: AttributedText
    """Text of the ability."""
    controls: tuple[AttributedText, ...] = Field(min_length=1)
    """Texts that are to stay as they are: losses there are damage."""
    scores: tuple[DonorScore, ...]
    """Scores to choose layers by: those whose figures were measured."""
    saes: dict[int, SaeSource] = Field(default_factory=dict)
    """By layer the SAE through whose features the edit was followed; empty where none was."""
    left_out: tuple[str, ...] = ()
    """What of base and donor is in no tensor here, in words."""
    settings: dict[str, str | int | float | bool | None]
    """Everything else that can change a number."""

    @property
    def texts(self) -> tuple[AttributedText, ...]:
        """The target, then the controls."""
        return (self.target, *self.controls)

    def scores_by(self, name: str) -> dict[int, float]:
        """Score by layer index.

        Raises:
            UsageError: It has no score of that name; the message lists those it has.
        """
        score = next((one for one in self.scores if one.name == name), None)
        if score is None:
            raise UsageError(
                f"unknown score {name!r}: this attribution has {', '.join(one.name for one in self.scores)} "
                "(probe_gain is measured with --probe, sae_attribution with --sae)"
            )
        return {entry.layer: entry.score for entry in score.layers}

    def to_frame(self, by: Literal["layer", "score"] = "layer") -> "DataFrame":
        """The layers as a pandas data frame, a row for each layer of each text; or by score, a row for each
        layer of each score.

        Raises:
            UsageError: pandas is not installed.
        """
        if by == "score":
            scores = [(score, entry) for score in self.scores for entry in score.layers]
            starts = [{"name": score.name, "unit": score.unit} for score, _ in scores]
            return as_frame(LayerScore, [entry for _, entry in scores], starts)
        roles = ("target", *("control" for _ in self.controls))
        texts = [
            {"text": text.name, "role": role}
            for text, role in zip(self.texts, roles, strict=True)
            for _ in text.layers
        ]
        return as_frame(AttributedLayer, [entry for text in self.texts for entry in text.layers], texts)


def attribution_path(path: str | Path) -> Path:
    """The attribution file, given it or its folder."""
    path = Path(path)
    return path / ATTRIBUTION_FILE if path.is_dir() else path


def read_attribution(path: str | Path) -> Attribution:
    """Read an attribution from its folder or file.

    Raises:
        ArtifactError: Missing or not an attribution.
    """
    return read_record(attribution_path(path), Attribution, "an attribution")


def write_attribution(folder: Path, attribution: Attribution, groups: Sequence[TextGroups]) -> None:
    """Write both files into ``folder``; ``groups`` in the order of the texts."""
    write_groups(folder, groups)
    write_record(folder / ATTRIBUTION_FILE, attribution)
