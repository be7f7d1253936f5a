"""``tune.json``: every edit that was searched, the one that was chosen, and how it stands where nothing was
chosen.

Losses are in nats a token; gain is the base's loss on the target less the edit's, damage the edit's loss on
control text less the base's. It holds no clock time: the same models, texts and settings write the same
bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.conclusions import Beside
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record, read_record, write_record

if TYPE_CHECKING:
    from pandas import DataFrame

TUNE_FILE = "tune.json"
RECIPE_FILE = "recipe.yml"
PAGE_FILE = "tune.html"
TABLE_FILE = "tune.md"

Budget = Literal["kept", "exceeded", "not shown"]
Held = Literal["better", "worse", "not shown", "not tested"]


class Change(Record):
    """How a loss changed from the base, by the same texts."""

    delta: float
    """Mean change in nats a token: of the target gain, of control text damage."""
    interval: tuple[float, float] | None
    """Interval of delta at 1 - alpha, over texts; null where all changed alike."""


class Effect(Record):
    """What an edit does on one part of the texts."""

    gain: Change
    """Nats a token that the target loses."""
    damage: Change
    """Nats a token that the control text gains, of several the one that is harmed most."""
    control: str
    """The control text that damage is of."""


class SearchedEdit(Record):
    """One edit that was measured."""

    family: str
    """Kind of edit it is of."""
    shape: str
    """Which layers it takes, or how its weights were come by."""
    weights: tuple[tuple[float, ...], ...]
    """For each donor, the weight of its task vector in every layer."""
    search: Effect
    """On the search part, where it was found."""
    choice: Effect | None
    """On the choice part; null for edits that were no finalists."""


class Winner(Record):
    """The edit that was chosen, as recipe.yml has it."""

    family: str
    """Kind of edit it is of."""
    shape: str
    """Which layers it takes, or how its weights were come by."""
    weights: tuple[tuple[float, ...], ...]
    """For each donor, the weight of its task vector in every layer."""
    scaled: float
    """Factor by which the finalist's weights were made smaller to meet the budget on the choice part; 1 for
    as it was searched."""
    search: Effect | None
    """On the search part; null where it was scaled after the search."""
    choice: Effect
    """On the choice part, where it was the best: partly by luck."""
    report: Effect
    """On the report part, where nothing was chosen."""
    curse: float
    """Winner's curse: gain on the choice part less gain on the report part."""
    budget: Budget
    """Whether damage on the report part is shown to be within the budget, or above it, one-sided at alpha."""


class Rival(Record):
    """One edit beside the winner on the report part."""

    name: str
    """What it is called."""
    description: str
    """What it is, and what beating it says."""
    weights: tuple[tuple[float, ...], ...]
    """For each donor, the weight of its task vector in every layer."""
    report: Effect
    """On the report part."""
    difference: Change
    """The winner's gain less its own."""
    p: float | None
    """Two-sided p of difference, the same problems under both; null where nothing could be tested."""
    p_adjusted: float | None
    """p corrected by Holm over all rivals; null where there is no p."""
    winner_is: Held
    """What the corrected p says at alpha; not shown is no proof of no difference."""


class CurvePoint(Record):
    """All layers at one weight, on the report part."""

    weight: float = Field(gt=0)
    """The weight."""
    report: Effect
    """What it does."""


class BesideCurve(Record):
    """The winner beside the damping curve, all layers at one weight, at its own damage on the report part."""

    low: CurvePoint
    """The point with less damage."""
    high: CurvePoint
    """The point with more damage."""
    share: float | None
    """How far along the damage from low to high the winner's lies, 0 to 1; null where that cannot be told."""
    difference: Change | None
    """The winner's gain less the curve's at the same damage; null where that cannot be told."""
    p: float | None
    """Two-sided p of difference, Student's t over problems and passages; null where nothing was tested."""
    stands: Beside
    """above or below the curve at alpha; not shown, where neither is; not tested, for the reason."""
    reason: str | None
    """Why nothing was tested; null where it was."""


class TunedText(Record):
    """One corpus and how much of it each part has."""

    name: str
    """The corpus, as the user wrote it."""
    sha256: str
    """sha256 of the corpus, as a diagnosis takes it."""
    texts: dict[str, int]
    """By part, number of texts."""
    tokens: dict[str, int]
    """By part, number of tokens that the loss is over."""
    base: dict[str, float]
    """By part, the base's loss in nats a token."""


class LayerShare(Record):
    """What one layer carries of the gain and damage of all layers at one weight."""

    layer: int
    """Index of the decoder layer."""
    gain: float
    """Part of the target's gain that the layer carries, in nats a token of the search part: the path integral
    of the slopes."""
    damage: float
    """Part of the damage that the layer carries, in nats a token of the search part, the mean over control
    texts: the path integral of the slopes."""
    stands_out: bool
    """Whether its damage stands out from the other layers'."""


class Tune(Record):
    """A whole search."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    base: str
    """Base model, as the user wrote it."""
    donors: tuple[str, ...]
    """Donor models, as the user wrote them: the order of the weights."""
    n_layers: int = Field(ge=1)
    """Decoder layers of the base."""
    budget: float = Field(gt=0)
    """Damage that was allowed, in nats a token."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests; intervals are at 1 - alpha."""
    target: TunedText
    """What the edit is for."""
    controls: tuple[TunedText, ...]
    """Text that damage is measured on."""
    families: tuple[str, ...]
    """Kinds of edits that were searched."""
    steps: int
    """Steps of gradient of learned weights."""
    dtype: str
    """What the model computed in; what it held was rounded as it is written."""
    rounding: str
    """How it was rounded, and is written."""
    layers: tuple[LayerShare, ...]
    """What each layer carries, all of them damped to the budget."""
    donors_alone: tuple[Effect, ...]
    """All layers of each donor at weight 1, on the search part."""
    candidates: tuple[SearchedEdit, ...]
    """Every edit that was searched, in the order in which they were tried."""
    winner: Winner
    """The edit that was chosen."""
    rivals: tuple[Rival, ...]
    """Edits that the winner is held against on the report part."""
    beside_curve: BesideCurve
    """The winner beside all layers damped."""
    evaluations: int
    """Edits measured on a part, the base among them."""
    slopes: int
    """Backward passes over a share of the search part."""
    recipe_sha256: str
    """Hex sha256 of recipe.yml."""

    def to_frame(self, by: Literal["candidate", "rival"] = "candidate") -> "DataFrame":
        """The edits as a pandas data frame, a row each: those searched, or those of the report part.

        Raises:
            UsageError: pandas is not installed.
        """
        if by == "rival":
            return as_frame(Rival, self.rivals)
        return as_frame(SearchedEdit, self.candidates)


def read_tune(path: str | Path) -> Tune:
    """Read a search's result, from its file or the folder it is in.

    Raises:
        ArtifactError: Missing or not such a result.
    """
    path = Path(path)
    return read_record(path / TUNE_FILE if path.is_dir() else path, Tune, "the result of a search")


def write_tune(folder: Path, tune: Tune) -> None:
    """Write ``tune.json`` into a folder."""
    write_record(folder / TUNE_FILE, tune)
