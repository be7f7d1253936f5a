"""The models that go into a recipe: whole, by runs of layers or by module, each with its parameters.

mergekit's own fields, read strictly; the recipe around them is ``recipe``'s.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.strict_yaml import as_number


class Conditional(Record):
    """mergekit's conditional parameter: a value for the tensors whose name contains ``filter``."""

    value: float | tuple[float, ...]
    """The number, or the numbers between which mergekit interpolates over the layers of a slice."""
    filter: str | None = None
    """What a tensor's name must contain for the value to hold; "*" or null for any name."""


Setting = float | Conditional | tuple[float, ...] | tuple[Conditional, ...]
"""mergekit's parameter setting: a number, a gradient over layers, or conditional values."""


def _weight_setting(value: Any) -> Any:
    value = [as_number(entry) for entry in value] if isinstance(value, list) else as_number(value)
    entries = value if isinstance(value, list) else [value]
    if entries and all(isinstance(entry, dict) for entry in entries):
        return value
    if entries and all(type(entry) in (int, float) for entry in entries):
        return value
    raise ValueError("expected a number, a list of numbers (a gradient), or a list of {filter, value}")


Weight = Annotated[Setting, BeforeValidator(_weight_setting)]


class SourceParameters(Record):
    """Parameters of one donor."""

    weight: Weight | None = None
    """Alpha, the factor of the donor's task vector: a number, a gradient over the layers of a slice, or
    values by filter; null for that of the recipe as a whole, 1 where there is none either."""


class ModelSource(Record):
    """One input model."""

    model: str
    """Folder, Hub id[@revision], or one of them with +adapter."""
    parameters: SourceParameters | None = None
    """Parameters of this model alone, before those of a wider scope; null for none."""


class SliceSource(ModelSource):
    """One input model's share of a slice."""

    layer_range: tuple[int, int]
    """First layer taken of this model, and one more than the last."""


class Slice(Record):
    """A run of layers and who contributes to it."""

    sources: tuple[SliceSource, ...] = Field(min_length=1)
    """The models of the slice, the base among them."""
    parameters: SourceParameters | None = None
    """Parameters of the slice's sources that have none of their own; null for none."""


class Module(Record):
    """One module of a multimodal model."""

    models: tuple[ModelSource, ...] | None = None
    """Input models of the module, whole; null where there are slices."""
    slices: tuple[Slice, ...] | None = None
    """Runs of layers of the module, in order; null where there are whole models."""
    parameters: SourceParameters | None = None
    """Parameters of the module's sources that have none of their own; null for none."""

    @model_validator(mode="after")
    def _one_form(self) -> "Module":
        if bool(self.models) == bool(self.slices):
            raise ValueError("expected exactly one of models, slices")
        return self
