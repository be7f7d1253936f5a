"""``tune.yml``: which models and texts, how much damage, and which kinds of edits to search."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sae_merge_method.artifacts.recipe import RoundingKeys
from sae_merge_method.artifacts.schema import Location, Locations, OneOf, Record
from sae_merge_method.evaluation.settings import OF_A_LOADED_MODEL, EvaluationSettings, TaskNames
from sae_merge_method.models.constants import AllowedMismatch
from sae_merge_method.models.devices import AUTO, DeviceName
from sae_merge_method.selection import RuleText
from sae_merge_method.tune.families import FAMILIES


class DamageBudget(Record):
    """How much damage is allowed: on control text, in points of a task, or both."""

    nats: float | None = Field(default=None, gt=0)
    """Nats a token of control text; of several controls none may be harmed more. Without it, the damage of
    all layers at the largest weight that keeps to the points."""
    points: float | None = Field(default=None, gt=0)
    """Points that the guard may lose: hundredths of its metric."""
    task: TaskNames | None = None
    """The guard: tasks, groups or tags of lm-eval, such as a general benchmark."""
    metric: str = "acc"
    """The guard's metric, with or without its filter."""
    num_fewshot: int | None = Field(default=None, ge=0)
    """Solved problems shown before each of the guard's; without it, the task's own number."""
    limit: float | None = Field(default=None, gt=0)
    """Problems a task of the guard, or below 1 a share of them; without it, all."""

    @model_validator(mode="after")
    def _something(self) -> "DamageBudget":
        if (self.points is None) != (self.task is None):
            raise ValueError("expected points and task together: how much of which guard may be lost")
        if self.nats is None and self.points is None:
            raise ValueError("expected nats a token of control text, or task and points")
        return self


def _as_nats(value: Any) -> Any:
    return {"nats": value} if isinstance(value, int | float) else value


class TuneSettings(RoundingKeys):
    """What ``sae-merge tune`` searches, and on what: the keys of its file."""

    base: Location
    """Base model: folder, or Hub id with an optional @revision."""
    donor: Locations
    """Donor model, or several: folder, Hub id with an optional @revision, or model+adapter."""
    allow_mismatch: AllowedMismatch = ()
    target: Location | None = None
    """Problems that the edit is for, none of which a donor was trained on: JSON lines with prompt and
    completion, of which the completion counts, or text as diagnose takes it. Without it, the problems of the
    tasks of evaluation with their right answers."""
    evaluation: EvaluationSettings | None = None
    """Tasks of lm-eval that choose among the best edits and judge the winner, as an experiment's file has
    them; the search itself goes by loss. Without it, loss chooses and judges."""
    metric: str = "exact_match"
    """The metric of those tasks, with or without its filter: more is better."""
    control: Locations
    """Text that shows damage, one corpus or several: none of it may be what the edit is for."""
    budget: Annotated[DamageBudget, BeforeValidator(_as_nats)]
    """Damage that is allowed: a number is nats a token of control text, of which no control may be harmed
    more; or keys nats, task, metric, points, num_fewshot and limit: the points that a guard task may lose."""
    families: Annotated[tuple[Annotated[str, OneOf(FAMILIES)], ...], Field(min_length=1)] = tuple(FAMILIES)
    """Kinds of edits to search, by name."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of layers that families with few layers take, and half the numbers of modules of those with few
    modules; without it a sixth, a third and half of all layers."""
    steps: int = Field(default=30, ge=1)
    """Steps of gradient for learned weights."""
    finalists: int = Field(default=6, ge=1)
    """Edits that are held against each other on the choice part."""
    shuffles: int = Field(default=3, ge=0)
    """Orders in which the winner's weights are laid over other layers, as rivals."""
    attribution: Location | None = None
    """Folder of sae-merge attribute, of this base and its one donor: its figures of layers, in the place of
    slopes of the search's own."""
    diagnosis: Location | None = None
    """Diagnosis of the base whose pick stands beside the winner; without it, none does."""
    select: RuleText = "top_k=3"
    """Rule that takes the pick of that diagnosis."""
    text_field: str = "text"
    """Field or column that holds the text. Where every text has prompt and completion, these are read."""
    group_field: str | None = None
    """Field or column that says which source a text is a part of, such as url: a source lies in one part
    whole, and intervals and tests of losses take its texts together. Each text is its own source unless
    given."""
    apply_chat_template: bool = False
    """Put every prompt into a user's turn of the model's chat template; texts without answers are read as
    they are."""
    max_documents: int | None = Field(default=None, ge=6)
    """Texts to read of each corpus; without it, all."""
    max_length: int = Field(default=512, ge=8)
    """Longest text in tokens; the end of control text and the beginning of prompts is cut off."""
    tokens_per_batch: int = Field(default=2048, ge=1)
    """Tokens that go through the model together, padding included."""
    tokens_per_step: int = Field(default=2048, ge=1)
    """Tokens of problems, and as many of control text, that a step of gradient is told from."""
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "float32"
    """What the model computes in, auto as in diagnose; what it holds is rounded as it will be written,
    whatever this is."""
    device: DeviceName = AUTO
    """Torch device, or auto for the best there is."""
    hold: bool = True
    """Keep base and task vectors in memory beside the model; without it they are read again for every
    edit."""

    @field_validator("donor")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("expected a donor, or several, each once")
        return value

    @field_validator("evaluation")
    @classmethod
    def _in_memory(cls, value: EvaluationSettings | None) -> EvaluationSettings | None:
        if value is None:
            return None
        if value.model != "hf":
            raise ValueError(f"expected model hf, got {value.model}: edits are asked in memory")
        if "device" in value.model_fields_set:
            raise ValueError("expected device beside it, not in it: the model is loaded once for all")
        unused = sorted(value.model_args.keys() - OF_A_LOADED_MODEL)
        if unused:
            raise ValueError(
                f"{', '.join(unused)} of model_args says how a model is loaded; expected some of "
                f"{', '.join(sorted(OF_A_LOADED_MODEL))}, and dtype beside evaluation"
            )
        return value

    @model_validator(mode="after")
    def _some_problems(self) -> "TuneSettings":
        if self.attribution is not None and len(self.donor) > 1:
            raise ValueError("attribution is of one donor, expected one as donor")
        if self.target is None and self.evaluation is None:
            raise ValueError("expected target, evaluation, or both: texts or tasks that the edit is for")
        return self

    def recorded(self, device: str) -> dict[str, str | int | float | bool | None]:
        """What the search's result keeps: all that can change a number and stands nowhere else in it.

        Args:
            device: The kind of device it really ran on, in place of "auto" or of one among several.
        """
        elsewhere = {
            "base",
            "donor",
            "target",
            "control",
            "families",
            "steps",
            "rounding",
            "rounding_seed",
            "dtype",
        }
        return {**_dotted(self.model_dump(exclude=elsewhere | {"hold"})), "device": device}

    def guard(self) -> EvaluationSettings | None:
        """How lm-eval is called for the guard; None without one."""
        if self.budget.task is None:
            return None
        asked = self.evaluation or EvaluationSettings()
        own = {"tasks": self.budget.task, "num_fewshot": self.budget.num_fewshot, "limit": self.budget.limit}
        return asked.model_copy(update=own | {"gen_kwargs": {}})


def _dotted(settings: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Keys within keys by names such as budget.nats; several values as text, with commas."""
    told: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            told |= _dotted(value, f"{within}{name}.")
        else:
            told[within + name] = ", ".join(map(str, value)) if isinstance(value, tuple) else value
    return told
