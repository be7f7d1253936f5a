"""``experiment.json``: every arm of an experiment beside its base, and what the numbers support.

Numbers are unrounded, and null where there is none. It holds no clock time: the same arms write the
same bytes. Scores are lm-eval's; a z or delta above 0 means more than the base (of a loss: worse).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sae_merge_method.artifacts.comparison import Verdict
from sae_merge_method.artifacts.energy_report import Energy
from sae_merge_method.artifacts.experiment_plan import Role
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record, read_record, write_record

if TYPE_CHECKING:
    from pandas import DataFrame

EXPERIMENT_FILE = "experiment.json"
TABLE_FILE = "experiment.md"
PAGE_FILE = "experiment.html"
BY_HAND = "By hand"
"""Heading of what in the Markdown report only makes sense beside the experiment's folder; it comes last."""

Answer = Literal["yes", "no", "not shown", "not tested"]


class Score(Record):
    """One task, or all together, under one arm."""

    task: str
    n: int | None
    score: float
    stderr: float | None
    """lm-eval's own."""
    delta: float | None
    """Arm minus base; null for the base itself, as all below."""
    z: float | None
    """The paper's test: delta / sqrt(se_base^2 + se_arm^2)."""
    p: float | None
    """Two-sided, uncorrected."""
    p_adjusted: float | None
    """By Holm over the tasks; null for all together."""
    verdict: Verdict | None


class GeneralLoss(Record):
    """What an edit costs on general text."""

    nats: float
    """Mean next-token cross-entropy in nats a token."""
    delta: float | None
    """Arm minus base: above 0 is damage. Null for the base itself, as all below."""
    stderr: float | None
    """Of delta, over documents paired with themselves."""
    z: float | None
    p: float | None
    """Two-sided."""


class Arm(Record):
    """One way to edit the base, measured."""

    name: str
    role: Role
    says: str
    method: str | None
    layers: tuple[int, ...]
    energy: float = Field(ge=0)
    """Squared norm of what was injected."""
    share: float = Field(ge=0)
    """The same over that of the donor's whole task vector in the decoder layers."""
    overall: Score
    subjects: tuple[Score, ...] = Field(min_length=1)
    general: GeneralLoss | None
    result_sha256: str | None
    mismatches: tuple[str, ...]
    """In what its evaluation differs from the base's beside the model: it takes no part in conclusions."""
    notes: tuple[str, ...]
    """What a reader of its numbers has to know, in plain sentences."""


class Rank(Record):
    """Where the pick stands among arms with other layers."""

    better: int = Field(ge=0)
    """Of the others, how many gained at least as much."""
    others: int = Field(ge=1)
    p: float = Field(gt=0, le=1)
    """(1 + better) / (1 + others): exact where the others are drawn at random, or are all there are."""

    @property
    def rank(self) -> int:
        """1 is best."""
        return 1 + self.better


class RankCorrelation(Record):
    """Specificity of a layer against what injecting that layer alone gains."""

    layers: int = Field(ge=3)
    rho: float | None
    """Spearman's; null where either side does not vary."""
    p: float | None
    """Two-sided, by permutation."""


class Conclusion(Record):
    """One claim, and what the numbers say of it."""

    claim: str
    answer: Answer
    words: str
    """The numbers behind the answer, in a sentence."""


class GeneralCorpus(Record):
    """The text that damage was measured on."""

    name: str
    sha256: str
    documents: int = Field(ge=1)
    tokens: int = Field(ge=1)


class Experiment(Record):
    """A whole experiment."""

    schema_version: Literal[1] = 1
    base: str
    donor: str
    n_layers: int = Field(ge=1)
    layers: tuple[int, ...]
    """The pick: what the diagnosis selects."""
    select: str
    """By which rule."""
    score: str
    """Of which specificity score."""
    scores: dict[int, float]
    """That score of every layer diagnosed."""
    weight: float
    """Alpha."""
    metric: str
    """lm-eval's key: metric, comma, filter."""
    higher_is_better: bool
    """Of that metric."""
    alpha: float = Field(gt=0, lt=1)
    """Level of the tests."""
    evaluation: dict[str, str | int | float | bool | None]
    """How lm-eval was called, the model's own arguments aside."""
    lm_eval_version: str | None
    corpus: GeneralCorpus | None
    arms: tuple[Arm, ...] = Field(min_length=1)
    """The base first."""
    missing: tuple[str, ...]
    """Arms that were planned and are not done."""
    projection: Energy | None
    """What the scalpel's span keeps of the task vector in the pick's layers."""
    among_random: Rank | None
    """The pick among sets of layers drawn at random."""
    among_all: Rank | None
    """The pick among all arms with as many other layers."""
    single_layers: RankCorrelation | None
    conclusions: tuple[Conclusion, ...]

    def to_frame(self, by: Literal["arm", "task"] = "arm") -> "DataFrame":
        """The arms as a pandas data frame, a row each; or by task, a row for each task of each arm.

        Raises:
            UsageError: pandas is not installed.
        """
        if by == "arm":
            return as_frame(Arm, self.arms)
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
