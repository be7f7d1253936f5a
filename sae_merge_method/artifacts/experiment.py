"""``experiment.json``: every arm of an experiment beside its base, and what the numbers support.

Numbers are unrounded, and null where there is none. It holds no clock time: the same arms write the
same bytes. Scores are lm-eval's; a z or delta above 0 means more than the base (of a loss: worse).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.attribution_summary import AttributionSummary
from sae_merge_method.artifacts.conclusions import (
    ArmContrast,
    Conclusion,
    DampingCurve,
    LayerCurve,
    MatchedSets,
    Rank,
)
from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.artifacts.schema import OneOf, Record, read_record, write_record
from sae_merge_method.artifacts.subject import Test, Verdict
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.models.rounding import ROUNDINGS

if TYPE_CHECKING:
    from pandas import DataFrame

EXPERIMENT_FILE = "experiment.json"
TABLE_FILE = "experiment.md"
PAGE_FILE = "experiment.html"
BY_HAND = "By hand"
"""Heading of what in the Markdown report only makes sense beside the experiment's folder; it comes last."""


class Score(Record):
    """One task, or all together, under one arm."""

    task: str
    """Name of lm-eval's task or group, or "all tasks" where no group covers them."""
    n: int | None
    """Problems asked; null where lm-eval does not say."""
    score: float
    """The metric's value under this arm."""
    stderr: float | None
    """lm-eval's own standard error of the score; null where it has none."""
    delta: float | None
    """The arm's score minus the base's; null for the base itself."""
    test: Test | None
    """Test that p and the verdict are by: the experiment's, or the one that fits; null for the base."""
    p: float | None
    """Two-sided p of the test, uncorrected; null for the base, and where nothing could be tested."""
    p_adjusted: float | None
    """p corrected by Holm over the arm's tasks; null for all together, and where there is no p."""
    paper_z: float | None
    """The paper's z, whatever the verdict is by: delta / sqrt(se_base^2 + se_arm^2), unpaired; null for the
    base, or without an error."""
    paper_p: float | None
    """Two-sided p of the paper's z; null where there is no such z."""
    interval: tuple[float, float] | None
    """Interval of delta by the test, at 1 - alpha; null for the base, and where it has none."""
    verdict: Verdict | None
    """What the uncorrected test says of the change from the base; null for the base itself."""


class GeneralLoss(Record):
    """What an edit costs on general text."""

    nats: float
    """Mean next-token cross-entropy under this arm, in nats a token."""
    delta: float | None
    """The arm's loss minus the base's, in nats a token: above 0 is damage. Null for the base itself."""
    stderr: float | None
    """Standard error of delta, over documents paired with themselves; null for the base, and where all
    documents moved alike."""
    df: int | None
    """Degrees of freedom of stderr, documents less one; null where there is no stderr."""
    skewness: float | None
    """Skewness of what each document adds to delta, above 0 where the loss of a few rises most; null where
    there is no stderr."""
    t: float | None
    """delta / stderr, Student's t; null where there is no stderr."""
    p: float | None
    """Two-sided p of no change: the larger of Student's and of Hall's, which takes skewness out of t; null
    where there is no t, and where the documents are too few for their skewness."""


class MeasuredArm(ArmIdentity):
    """One way to edit the base, measured."""

    energy: float = Field(ge=0)
    """Squared norm of what was injected, rounding to the stored dtype included."""
    share: float = Field(ge=0)
    """energy over that of the donor's whole task vector in the decoder layers."""
    realised: Realised | None
    """What was to be injected, and what rounding to the stored dtype left of it; null where nothing was
    merged."""
    rounding: Annotated[str, OneOf(ROUNDINGS)] | None
    """How edited values were rounded; null where nothing was merged."""
    overall: Score
    """All tasks together."""
    answered: float | None
    """Share of problems to which a final answer was found; null where the tasks extract none."""
    cut_off: float | None
    """Share of generated answers as long as the token limit; null where the tasks generate none."""
    subjects: tuple[Score, ...] = Field(min_length=1)
    """Each task by itself."""
    general: GeneralLoss | None
    """Loss on general text; null without a general corpus, or where the arm has another tokenizer."""
    result_sha256: str | None
    """Hash of the merged checkpoint, as its edit report has it; null where nothing was merged."""
    mismatches: tuple[str, ...]
    """In what the arm's evaluation differs from the base's beside the model: if in anything, the arm takes
    no part in conclusions."""
    notes: tuple[str, ...]
    """What a reader of the arm's numbers has to know, in plain sentences."""

    @property
    def damage(self) -> float:
        """Change of the loss on general text, in nats a token: above 0 is worse. 0 for the base itself, and
        where it was not measured."""
        return (self.general.delta or 0.0) if self.general is not None else 0.0


class GeneralCorpus(Record):
    """The text that damage was measured on."""

    name: str
    """The corpus, as the user wrote it."""
    sha256: str
    """sha256 of the corpus, as a diagnosis takes it."""
    documents: int = Field(ge=1)
    """Number of documents read."""
    tokens: int = Field(ge=1)
    """Number of tokens that the base's loss is over."""


class Experiment(Record):
    """A whole experiment."""

    schema_version: Literal[5] = 5
    """Version of this file's format."""
    base: str
    """Base model, as the user wrote it."""
    donor: str
    """Donor model, as the user wrote it."""
    n_layers: int = Field(ge=1)
    """Decoder layers of the base."""
    layers: tuple[UnitField, ...]
    """The selected layers, or parts of them such as "11.attn", the pick: what the rule selects of the
    scores."""
    among: tuple[int, ...] | None = None
    """Layers that random sets are drawn from and runs are counted among: those in which the donor changes
    something of the kinds that are selected; null for all."""
    select: str
    """Rule that selects the layers."""
    score: str
    """Score that the layers are selected by: a diagnosis' own, or one that knows the donor."""
    scores: dict[UnitField, float]
    """Value of ``score`` of every layer that has one, or of every part of a layer."""
    attribution: AttributionSummary | None = None
    """What each layer carries of the donor's gain and damage; null where that was not attributed."""
    weight: float
    """Factor of the task vector, alpha."""
    metric: str
    """lm-eval's key of the metric: name, comma, filter."""
    higher_is_better: bool
    """Whether a higher value of the metric is better."""
    test: Test
    """Statistical test that was asked for; "auto" takes the one that fits."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests."""
    harm_margin: float = Field(gt=0)
    """Change of the loss on general text, in nats a token, that is as good as none."""
    evaluation: dict[str, str | int | float | bool | None]
    """How lm-eval was called, the model's own arguments aside."""
    lm_eval_version: str | None
    """Version of lm-eval that evaluated the base; null where its results do not say."""
    corpus: GeneralCorpus | None
    """Text that damage was measured on; null without one."""
    arms: tuple[MeasuredArm, ...] = Field(min_length=1)
    """All arms that are done, the base first."""
    missing: tuple[str, ...]
    """Names of the arms that were planned and are not done."""
    projection: Energy | None
    """What the scalpel's span keeps of the task vector in the selected layers; null without a scalpel arm."""
    matched_sets: MatchedSets | None
    """The pick beside random sets of layers matched with it; null without them, or without the pick."""
    among_all: Rank | None
    """The pick's rank among all arms with as many other layers, drawn or chosen; null without them, or
    without the pick."""
    damping_curve: DampingCurve | None
    """All layers at smaller weights, and where the other arms lie beside that line; null where none was
    damped, or without a general corpus."""
    single_layers: LayerCurve | None
    """What single layers say of the score; null for fewer than three layers injected alone."""
    contrasts: tuple[ArmContrast, ...]
    """The pairs of arms that claims hold against each other, where both are done."""
    conclusions: tuple[Conclusion, ...]
    """All claims, in the order of a reader's questions."""

    def arm(self, name: str) -> MeasuredArm | None:
        """The arm of that name, where it is done."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def contrast(self, one: str, other: str) -> ArmContrast | None:
        """What holding one arm against another gave, where both are done."""
        return next((pair for pair in self.contrasts if (pair.one, pair.other) == (one, other)), None)

    @property
    def pick(self) -> MeasuredArm | None:
        """The recipe under test, where it is done."""
        return next((arm for arm in self.arms if arm.role == "selected"), None)

    def to_frame(self, by: Literal["arm", "task"] = "arm") -> "DataFrame":
        """The arms as a pandas data frame, a row each; or by task, a row for each task of each arm.

        Raises:
            UsageError: pandas is not installed.
        """
        if by == "arm":
            return as_frame(MeasuredArm, self.arms)
        scores = [(arm, score) for arm in self.arms for score in arm.subjects]
        starts = [{"arm": arm.name, "role": arm.role} for arm, _ in scores]
        return as_frame(Score, [score for _, score in scores], starts)


def read_experiment(path: str | Path) -> Experiment:
    """Read an experiment's report, from its file or the folder it is in.

    Raises:
        ArtifactError: Missing or not such a report.
    """
    path = Path(path)
    return read_record(path / EXPERIMENT_FILE if path.is_dir() else path, Experiment, "an experiment")


def write_experiment(folder: Path, experiment: Experiment) -> None:
    """Write ``experiment.json`` into a folder."""
    write_record(folder / EXPERIMENT_FILE, experiment)
