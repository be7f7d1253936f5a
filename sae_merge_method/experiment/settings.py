"""``experiment.yml``: an experiment as a file to share. Paths resolve against the working folder."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from sae_merge_method.artifacts.schema import Record, describe
from sae_merge_method.controls.arms import NAMES
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.errors import UsageError
from sae_merge_method.selection import parse_rule

SETTINGS_FILE = "experiment.yml"
"""In an experiment's folder: its settings, command line included, to run it again elsewhere."""

_OWN_NAME = re.compile(r"(?!random-layers-|layer-)\w[\w.-]*", re.ASCII)
Plain = str | int | float | bool


def _as_list(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


class EvaluationSettings(Record):
    """How lm-eval is called; the names are its own command's."""

    model: Literal["hf", "vllm"] = "hf"
    model_args: dict[str, Plain] = Field(default_factory=dict)
    """Beside ``pretrained``, which is the arm's: dtype, max_length, tensor_parallel_size, ..."""
    tasks: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)] = ("minerva_math_sae",)
    include_path: str | None = None
    """Folder with tasks of the user's own."""
    num_fewshot: int | None = Field(default=None, ge=0)
    limit: float | None = Field(default=None, gt=0)
    """Problems a task, or below 1 a share of them."""
    batch_size: int | str = 1
    device: str | None = None
    apply_chat_template: bool | str = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    gen_kwargs: dict[str, Plain] = Field(default_factory=dict)

    @field_validator("model_args")
    @classmethod
    def _of_the_user(cls, value: dict[str, Plain]) -> dict[str, Plain]:
        taken = sorted({"pretrained", "revision", "trust_remote_code"} & value.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot be set: the arm decides, and remote code stays off")
        return value

    @field_validator("batch_size")
    @classmethod
    def _a_size(cls, value: int | str) -> int | str:
        if (isinstance(value, int) and value > 0) or (isinstance(value, str) and value.startswith("auto")):
            return value
        raise ValueError("expected a number above 0, auto or auto:N")


class GeneralLossSettings(Record):
    """Text on which damage is measured: none of it may be what the edit is for."""

    corpus: str
    """JSON lines, parquet, plain text with a document a line, or a Hub data set, as diagnose takes it."""
    text_field: str = "text"
    max_documents: int | None = Field(default=None, ge=2)
    max_characters: int = Field(2000, ge=1)
    """Of each document; the rest is cut off."""


class ExperimentSettings(Record):
    """One experiment: the keys of its file."""

    base: str
    """Folder, or Hub id with an optional @revision."""
    donor: str
    """Likewise; a whole checkpoint."""
    diagnosis: str | dict[str, Any]
    """A diagnosis folder, or the settings to make one with, as diagnose --config takes them."""
    select: str = "top_k=3"
    """Rule of the pick."""
    weight: float = 1.0
    """Alpha, the task vector's factor."""
    arms: Literal["all"] | tuple[str | dict[str, str], ...] = "all"
    """Names of controls (random-layers stands for all of them), and the user's own recipes as NAME: FILE.
    The base and the pick (stethoscope) are always among them."""
    random_layers: int = Field(5, ge=0)
    """Sets of as many other layers, drawn at random."""
    single_layers: bool = False
    """An arm for each layer alone: does the score predict what a layer gains?"""
    rank: int | None = Field(default=None, ge=1)
    """Features a layer of the scalpel arms; d_model/40 where not given."""
    evaluation: EvaluationSettings = EvaluationSettings()
    general_loss: GeneralLossSettings | None = None
    metric: str = "exact_match"
    alpha: float = Field(0.05, gt=0, lt=1)
    """Level of the tests in the report."""

    @field_validator("select")
    @classmethod
    def _a_rule(cls, value: str) -> str:
        try:
            return str(parse_rule(value))
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("arms")
    @classmethod
    def _names(cls, value: Any) -> Any:
        listed = () if value == "all" else value
        unknown = [name for name in listed if isinstance(name, str) and name not in NAMES]
        if unknown:
            raise ValueError(f"expected {', '.join(NAMES)}, or NAME: FILE, got {', '.join(unknown)}")
        own = [name for one in listed if isinstance(one, dict) for name in one]
        for name in own:
            if not _OWN_NAME.fullmatch(name) or name in NAMES or own.count(name) > 1:
                raise ValueError(
                    "expected a name of letters, digits, '.', '-', '_' that stands once and is no "
                    f"control's, got {name!r}"
                )
        return value

    @model_validator(mode="after")
    def _one_model(self) -> "ExperimentSettings":
        if isinstance(self.diagnosis, dict):
            self.to_diagnose()
        return self

    def to_diagnose(self) -> DiagnoseSettings:
        """Settings of the diagnosis to make; its model is the base.

        Raises:
            ValueError: They cannot be used; pydantic's own error says why.
        """
        assert isinstance(self.diagnosis, dict)
        if self.diagnosis.get("model", self.base) != self.base:
            raise ValueError(f"diagnosis.model: expected the base {self.base}, got {self.diagnosis['model']}")
        try:
            return DiagnoseSettings.model_validate({**self.diagnosis, "model": self.base})
        except ValidationError as error:
            raise ValueError(describe(error, inside=("diagnosis",)).strip()) from error

    def own_recipes(self) -> dict[str, Path]:
        """The user's own arms, by name."""
        listed = () if self.arms == "all" else self.arms
        return {name: Path(file) for one in listed if isinstance(one, dict) for name, file in one.items()}

    def wants(self, arm: str) -> bool:
        """Whether a control of that name is asked for."""
        if self.arms == "all" or arm in ("base", "stethoscope") or arm.startswith("layer-"):
            return True
        family = "random-layers" if arm.startswith("random-layers-") else arm
        return arm in self.arms or family in self.arms


def settings_text(settings: ExperimentSettings) -> str:
    """The settings as a file that ``read_settings`` reads, defaults written out: they may change."""
    value = settings.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
