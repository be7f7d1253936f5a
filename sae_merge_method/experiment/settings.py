"""``experiment.yml``: an experiment as a file to share. Paths resolve against the working folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from sae_merge_method.artifacts.recipe import OutDtype, RoundingName, RoundingSeed
from sae_merge_method.artifacts.schema import Location, Record, describe
from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.artifacts.subject import Test
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.controls import settings as control
from sae_merge_method.controls.arms import ARMS, asked_for
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.models.constants import AllowedMismatch
from sae_merge_method.models.rounding import DEFAULT
from sae_merge_method.selection import RuleText
from sae_merge_method.together.places import WorkerSettings

SETTINGS_FILE = "experiment.yml"
"""In an experiment's folder: its settings, command line included, to run it again elsewhere."""

_OWN_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
HARM_MARGIN = 0.01
"""Nats a token: a hundredth more loss is a hundredth more perplexity, less than text from elsewhere makes."""


class GeneralLossSettings(Record):
    """Text on which damage is measured: none of it may be what the edit is for."""

    corpus: Location
    """JSON lines, parquet, plain text with a document a line, or a Hub data set, as diagnose takes it."""
    text_field: str = "text"
    """Field or column that holds the text."""
    max_documents: int | None = Field(default=None, ge=2)
    """Documents to read; without it, all."""
    max_characters: int = Field(default=2000, ge=1)
    """Characters of each document to read; the rest is cut off."""
    margin: float = Field(default=HARM_MARGIN, gt=0)
    """Change of the loss, in nats a token, that is as good as none: general text is unharmed where a change
    is shown to be smaller."""


class ExperimentSettings(Record):
    """One experiment: the keys of its file."""

    base: Location
    """Base model: folder, or Hub id with an optional @revision."""
    donor: Location
    """Donor model, a whole checkpoint: folder, or Hub id with an optional @revision."""
    allow_mismatch: AllowedMismatch = ()
    diagnosis: Location | dict[str, Any] | None = None
    """A diagnosis folder, or the settings to make one with, as diagnose --config takes them. May be left out
    where layers are chosen by an attribution: then there are no scalpel arms."""
    attribution: Location | dict[str, Any] | None = None
    """An attribution folder, or the settings to make one with, as attribute --config takes them; without it,
    the one that stands in the diagnosis' folder. The report says what each layer carries."""
    score: str | None = None
    """A score that knows the donor, such as attributed_gain, of that attribution, to choose layers by; the
    diagnosis' own unless given. Of a diagnosis that is made, the donor is then attributed with it."""
    select: RuleText = "top_k=3"
    """Rule that selects the layers."""
    weight: float = 1.0
    """Factor of the task vector, alpha."""
    rounding: RoundingName = DEFAULT
    rounding_seed: RoundingSeed = 0
    out_dtype: OutDtype = None
    arms: Literal["all"] | tuple[str | dict[str, str], ...] = "all"
    """all, or names of controls, as sae-merge experiment --help lists them, and the user's own recipes as
    NAME: FILE. The base and the pick (stethoscope) are always among them."""
    random_layers: int = Field(default=control.RANDOM_LAYERS, ge=0)
    """Sets of as many other layers, drawn at random: first those in as many runs at about the same depth."""
    random_spread: control.RandomSpread = control.SPREAD
    damping: control.Damping = control.DAMPING
    all_but_the_last: control.AllButTheLast = 1
    every_nth: control.EveryNth = 3
    windows: control.Windows = 3
    single_layers: bool = False
    """Also an arm for each layer alone: does the score predict what a layer gains?"""
    rank: int | None = Field(default=None, ge=1)
    """Features a layer of the scalpel arms; without it, d_model/40."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """How lm-eval is called."""
    general_loss: GeneralLossSettings | None = None
    """Text on which damage is measured; without it, damage is not."""
    metric: str = "exact_match"
    """lm-eval's metric that arms are held against each other by, with or without its filter: one that rises
    for the better in all tasks, or falls in all."""
    test: Test = "auto"
    """Statistical test that arms are held against the base and against each other by; the paper's z stands
    beside it."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Level of the tests in the report."""
    curve_margin: float = Field(default=2.0, gt=0)
    """Points off the damping curve, of scores that are no shares their own unit, that do not matter: an arm
    is on the curve where it is shown to be nearer."""

    @field_validator("arms")
    @classmethod
    def _names(cls, value: Any) -> Any:
        listed = () if value == "all" else value
        unknown = [name for name in listed if isinstance(name, str) and name not in ARMS]
        if unknown:
            raise ValueError(f"expected {', '.join(ARMS)}, or NAME: FILE, got {', '.join(unknown)}")
        own = [name for one in listed if isinstance(one, dict) for name in one]
        for name in own:
            is_taken = name in ARMS or any(row.owns(name) for row in ARMS.values())
            if not _OWN_NAME.fullmatch(name) or is_taken or own.count(name) > 1:
                raise ValueError(
                    "expected a name of letters, digits, '.', '-', '_' that stands once and is no "
                    f"control's, got {name!r}"
                )
        return value

    @model_validator(mode="after")
    def _one_model(self) -> "ExperimentSettings":
        if self.diagnosis is None and (self.score is None or self.attribution is None):
            raise ValueError(
                "expected diagnosis: a folder or settings; or attribution: and score:, to do without"
            )
        if isinstance(self.diagnosis, dict):
            self.to_diagnose()
        if isinstance(self.attribution, dict):
            self.to_attribute()
        return self

    def to_diagnose(self) -> DiagnoseSettings:
        """Settings of the diagnosis to make; its model is the base.

        Raises:
            ValueError: They cannot be used; pydantic's own error says why.
        """
        assert isinstance(self.diagnosis, dict)
        own: dict[str, Any] = {"model": self.base}
        if self.score is not None and self.attribution is None:
            own["donor"] = self.donor
        return _within(DiagnoseSettings, self.diagnosis, "diagnosis", own)

    def to_attribute(self) -> AttributeSettings:
        """Settings of the attribution to make; its models are the experiment's.

        Raises:
            ValueError: They cannot be used; pydantic's own error says why.
        """
        assert isinstance(self.attribution, dict)
        return _within(
            AttributeSettings, self.attribution, "attribution", {"base": self.base, "donor": self.donor}
        )

    def controls(self) -> tuple[str, ...]:
        """Names of the controls asked for, and of those that are always there, in the table's order."""
        named = None if self.arms == "all" else {name for name in self.arms if isinstance(name, str)}
        asked = asked_for(named, self)
        return tuple(row.name for row in ARMS.values() if row.always or row.name in asked)

    def own_recipes(self) -> dict[str, Path]:
        """The user's own arms, by name."""
        listed = () if self.arms == "all" else self.arms
        return {name: Path(file) for one in listed if isinstance(one, dict) for name, file in one.items()}


Within = TypeVar("Within", bound=Record)


def _within(kind: type[Within], written: Mapping[str, Any], key: str, own: Mapping[str, str]) -> Within:
    """Settings of another command that stand under a key, with the experiment's own models."""
    for name, model in own.items():
        if written.get(name, model) != model:
            whose = "donor" if name == "donor" else "base"
            raise ValueError(f"{key}.{name}: expected the {whose} {model}, got {written[name]}")
    try:
        return kind.model_validate({**written, **own})
    except ValidationError as error:
        raise ValueError(describe(error, inside=(key,)).strip()) from error


class RunSettings(WorkerSettings):
    """How an experiment is run. Numbers differ at most in the last bits of a float, since each worker has its
    share of the cores, and so, rarely, in an answer."""

    keep: bool = False
    """Keep merged checkpoints in the folder merged after their evaluation."""
    overwrite: bool = False
    """Run again the arms made from other settings than now."""
    workers: int | None = Field(default=None, ge=0)
    """Processes that run arms side by side; without it, one for each worker's GPUs, else 1. 0 runs the arms
    in this process, one after another."""


def settings_text(settings: ExperimentSettings) -> str:
    """The settings as a file that ``read_settings`` reads, defaults written out: they may change."""
    value = settings.model_dump(mode="json", exclude_none=True)
    return dump_yaml(value)
