"""What a dry run finds: what a merge would change, layer by layer."""

from typing import TYPE_CHECKING

from pydantic import Field

from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record

if TYPE_CHECKING:
    from pandas import DataFrame


class LayerPreview(Record):
    """One selected layer."""

    layer: int
    """Index of the text decoder layer."""
    tensors: int = Field(ge=0)
    """How many of the layer's tensors would be edited."""
    nbytes: int = Field(ge=0)
    """How many bytes these tensors have."""
    energy: float | None = Field(ge=0)
    """Squared Frobenius norm of (edited - base) over the layer, rounding to the stored dtype included; null
    where the recipe runs through mergekit, so that the energy is known only afterwards."""


class EditPreview(Record):
    """A merge that was computed in full and written nowhere."""

    layers: tuple[LayerPreview, ...]
    """The selected layers, ascending."""
    kept: int = Field(ge=0)
    """How many other tensors would stay the base's, byte for byte."""
    only_mergekit: str | None
    """Why the recipe runs through mergekit, so that nothing was computed; null where it does not."""

    def to_frame(self) -> "DataFrame":
        """The selected layers as a pandas data frame, a row each.

        Raises:
            UsageError: pandas is not installed.
        """
        return as_frame(LayerPreview, self.layers)
