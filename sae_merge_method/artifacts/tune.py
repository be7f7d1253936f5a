"""``tune.json``: every edit that was searched, the one that was chosen, and how it stands where nothing was
chosen.

Losses are in nats a token; gain is the base's loss on the target less the edit's, damage the edit's loss on
control text less the base's. Where a task judges, its scores stand beside them. It holds no clock time: the
same models, texts and settings write the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record, read_record, write_record
from sae_merge_method.artifacts.tuned_edits import BesideCurve, Effect, EqualGain, Rival, SearchedEdit, Winner

if TYPE_CHECKING:
    from pandas import DataFrame

TUNE_FILE = "tune.json"
RECIPE_FILE = "recipe.yml"
PAGE_FILE = "tune.html"
TABLE_FILE = "tune.md"


class TunedText(Record):
    """One corpus and how much of it each part has."""

    name: str
    """The corpus, as the user wrote it."""
    sha256: str
    """sha256 of the corpus, as a diagnosis takes it."""
    texts: dict[str, int]
    """By part, number of texts."""
    sources: dict[str, int] | None = None
    """By part, number of sources that they are of, over which intervals and tests are; null where each text
    is its own, and in older files, whose intervals are over texts."""
    tokens: dict[str, int]
    """By part, number of tokens that the loss is over."""
    base: dict[str, float]
    """By part, the base's loss in nats a token."""


class Asked(Record):
    """A task of lm-eval and how many of its problems each part has."""

    name: str
    """The tasks, as lm-eval calls them."""
    metric: str
    """The metric, with its filter where one was named."""
    sha256: str
    """sha256 over the problems as the model reads them, and their right answers."""
    problems: dict[str, int]
    """By part, number of problems."""
    base: dict[str, float]
    """By part that was asked, the base's score."""


class PartShare(Record):
    """What one part of a layer, its attention or its MLP, carries of the same."""

    gain: float
    """Part of the target's gain that it carries, in nats a token."""
    damage: float
    """Part of the damage that it carries, in nats a token: the mean over control texts."""


class LayerShare(Record):
    """What one layer carries of the gain and damage of all layers at one weight."""

    layer: int
    """Index of the decoder layer."""
    gain: float
    """Part of the target's gain that the layer carries, in nats a token: the path integral of the slopes on
    the search part, or what an attribution of the donor told."""
    damage: float
    """Part of the damage that the layer carries, in nats a token: the mean over control texts."""
    stands_out: bool
    """Whether its damage stands out from the other layers'."""
    parts: dict[str, PartShare]
    """By name of the parts that the layer has, what each carries of that; the rest, such as norms, is what
    they leave of the layer's own."""


class Tune(Record):
    """A whole search."""

    schema_version: Literal[4] = 4
    """Version of this file's format."""
    base: str
    """Base model, as the user wrote it."""
    donors: tuple[str, ...]
    """Donor models, as the user wrote them: the order of the weights."""
    base_fingerprint: Fingerprint | None = None
    """Of the base's weights; null in older files."""
    donor_fingerprints: tuple[Fingerprint, ...] = ()
    """Of each donor's weights, an adapter merged in; empty in older files."""
    n_layers: int = Field(ge=1)
    """Decoder layers of the base."""
    budget: float = Field(gt=0)
    """Damage that was allowed, in nats a token."""
    points: float | None
    """Points of the guard that might be lost, hundredths of its metric; null without a guard."""
    budget_weight: float | None
    """Where the budget was set in points alone: the largest weight of all layers that kept to them on the
    choice part, whose damage is the budget in nats; null where it was set in nats."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests; intervals are at 1 - alpha."""
    target: TunedText
    """What the edit is for."""
    controls: tuple[TunedText, ...]
    """Text that damage is measured on."""
    task: Asked | None
    """The task that chose and judged; null where loss did."""
    guard: Asked | None
    """The task that must not be harmed; null without one."""
    families: tuple[str, ...]
    """Kinds of edits that were searched."""
    steps: int
    """Steps of gradient of learned weights."""
    dtype: str
    """What the model computed in; what it held was rounded as it is written. In older files as it was asked
    for, such as auto."""
    rounding: str
    """How it was rounded, and is written."""
    layers: tuple[LayerShare, ...]
    """What each layer carries: all of them damped to the budget, or the whole donor by an attribution."""
    donors_alone: tuple[Effect, ...]
    """All layers of each donor at weight 1, on the search part."""
    candidates: tuple[SearchedEdit, ...]
    """Every edit that was searched, in the order in which they were tried."""
    winner: Winner
    """The edit that was chosen."""
    rivals: tuple[Rival, ...]
    """Edits that the winner is held against on the report part."""
    beside_curve: BesideCurve
    """The winner beside all layers damped to its damage."""
    equal_gain: EqualGain
    """The winner beside all layers damped to its gain."""
    evaluations: int
    """Edits measured on a part, the base among them."""
    answers: int
    """Edits asked a task or the guard on a part, the base among them."""
    slopes: int
    """Backward passes over a share of the search part."""
    recipe_sha256: str
    """Hex sha256 of recipe.yml."""
    settings: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """Everything else that can change a number, the kind of device among it, with keys within keys by names
    such as budget.nats; empty in older files."""

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
