"""What a trial is made of: model, abilities, seeds and sizes. Same settings, same trial."""

from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sae_merge_method.artifacts.schema import Record
from trials.models import MODELS, model_named
from trials.trainings import trained_abilities, training_of

DEFAULT_MODEL = next(iter(MODELS))
"""The first of the table of models."""


class TrialSettings(Record):
    """Everything that the models, texts, tasks and donors of a trial depend on."""

    model: str = DEFAULT_MODEL
    """Name of the base, a row of the table of models."""
    abilities: tuple[str, ...] = ()
    """Names of the abilities that donors are trained in; by default all that the model has a training for."""
    seeds: tuple[int, ...] = (0, 1)
    """One donor of every ability is trained by each."""
    target_problems: int = Field(default=150, ge=1, le=500)
    """Problems of an ability for diagnosis and attribution."""
    search_problems: int = Field(default=200, ge=1, le=500)
    """Problems of an ability that an edit may be searched by."""
    task_problems: int = Field(default=100, ge=1, le=500)
    """Problems of an ability's task: what all arms are judged by."""
    held_out_problems: int = Field(default=60, ge=1, le=500)
    """Problems that a donor is judged by when it is made."""
    control_passages: int = Field(default=240, ge=1)
    """Passages of general prose, and of the text close to each ability."""
    mixture_prose: int = Field(default=150_000, ge=1)
    """Characters of prose in the mixture that SAEs are trained on."""
    mixture_maths: int = Field(default=100_000, ge=1)
    """Characters of maths in it."""
    mixture_code: int = Field(default=100_000, ge=1)
    """Characters of code in it."""

    @model_validator(mode="before")
    @classmethod
    def _all_abilities(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"abilities": trained_abilities(values.get("model", DEFAULT_MODEL)), **values}

    @field_validator("model")
    @classmethod
    def _is_a_model(cls, name: str) -> str:
        return model_named(name).name

    @field_validator("abilities")
    @classmethod
    def _are_trained(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            training_of(info.data["model"], name)
        return names
