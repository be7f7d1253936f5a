"""What ``sae-merge diff`` finds between two checkpoints: a table, a picture or JSON, kept nowhere."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, PlainSerializer, computed_field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record

if TYPE_CHECKING:
    from pandas import DataFrame


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


Measured = Annotated[float, PlainSerializer(_finite, return_type=float | None, when_used="json")]
"""A number that may be infinite or NaN; JSON, which knows neither, has null for both."""


class TensorDifference(Record):
    """One tensor that both checkpoints have, in the same shape."""

    model_config = ConfigDict(allow_inf_nan=True)

    name: str
    """Name of the tensor that all layouts of one model share."""
    layer: int | None
    """Text decoder layer that the tensor belongs to; null for embeddings, final norm, head, vision,
    projector."""
    part: str | None
    """What the tensor is within its layer, such as mlp.up_proj.weight; null for one that is in no layer."""
    same_bytes: bool
    """Whether both checkpoints hold the same bytes."""
    values: int = Field(ge=0)
    """How many values the tensor has."""
    changed: int = Field(ge=0)
    """How many values differ as numbers: -0.0 and 0.0 do not, NaN and NaN do."""
    relative: Measured
    """||second - first|| / ||first||; infinite where the first is zero and the second is not, NaN where
    either holds a NaN, both null in JSON."""
    largest: Measured
    """Largest absolute difference of two values; infinite or NaN, null in JSON, where a value is."""


class Stored(Record):
    """How a checkpoint stores one tensor."""

    dtype: str
    """safetensors' name of the dtype, for example BF16."""
    shape: tuple[int, ...]
    """The tensor's shape."""

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class StoredTwice(Record):
    """A tensor that both checkpoints have, as each stores it."""

    name: str
    """Name of the tensor that all layouts of one model share."""
    first: Stored
    """In the first checkpoint."""
    second: Stored
    """In the second."""


class Difference(Record):
    """Two checkpoints held against each other; tensors are matched whatever layout either was saved in."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    tensors: tuple[TensorDifference, ...]
    """The tensors that both have and that can be compared, by layer and name."""
    only_in_first: tuple[str, ...]
    """Names of the tensors that the second checkpoint lacks."""
    only_in_second: tuple[str, ...]
    """Names of the tensors that the first checkpoint lacks."""
    not_comparable: tuple[str, ...]
    """Names of tensors that both have in other shapes, or with other bytes that are no numbers to compare."""
    stored: tuple[StoredTwice, ...] = ()
    """How tensors are stored that both have in another dtype or shape, or that are not comparable."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def identical(self) -> bool:
        """Whether both hold the same tensors, byte for byte."""
        unlike = self.only_in_first or self.only_in_second or self.not_comparable
        return not unlike and all(tensor.same_bytes for tensor in self.tensors)

    @property
    def changed(self) -> tuple[TensorDifference, ...]:
        """The tensors that differ in values, or in bytes of one dtype: not by their dtype alone."""
        dtypes = self.dtypes
        return tuple(
            one for one in self.tensors if not one.same_bytes and (one.changed or one.name not in dtypes)
        )

    @property
    def dtypes(self) -> dict[str, tuple[str, str]]:
        """By name of a compared tensor whose dtypes differ, the first checkpoint's and the second's."""
        compared = {tensor.name for tensor in self.tensors}
        return {one.name: (one.first.dtype, one.second.dtype) for one in self.stored if one.name in compared}

    def to_frame(self) -> "DataFrame":
        """The tensors as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(TensorDifference, self.tensors)
