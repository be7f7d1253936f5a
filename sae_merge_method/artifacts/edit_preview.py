"""What a dry run finds: what a merge would change, layer by layer."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.realised import LayerEdit, Realised
from sae_merge_method.artifacts.schema import OneOf
from sae_merge_method.models.rounding import ROUNDINGS

if TYPE_CHECKING:
    from pandas import DataFrame


class EditPreview(Realised):
    """A merge that was computed in full and written nowhere."""

    rounding: Annotated[str, OneOf(ROUNDINGS)]
    """How edited values would be rounded to the stored dtype."""
    layers: tuple[LayerEdit, ...]
    """The selected layers and parts of layers, in the order of depth."""
    kept: int = Field(ge=0)
    """How many other tensors would stay the base's."""
    only_mergekit: str | None
    """Why a merge would hand the recipe over to mergekit; null where it would not."""

    def to_frame(self) -> "DataFrame":
        """The selected layers as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(LayerEdit, self.layers)
