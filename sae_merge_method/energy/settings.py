"""What a user of ``sae-merge energy`` can set."""

from typing import Literal

from pydantic import Field, model_validator

from sae_merge_method.artifacts.recipe import RoundingName
from sae_merge_method.artifacts.schema import Location, Record
from sae_merge_method.models.constants import AllowedMismatch
from sae_merge_method.models.rounding import DEFAULT


class EnergySettings(Record):
    """One measurement: the options of ``sae-merge energy``."""

    base: Location
    """Base model, the diagnosed one: folder or Hub id[@revision]."""
    donor: Location
    """Donor model: folder or Hub id[@revision]."""
    allow_mismatch: AllowedMismatch = ()
    diagnosis: Location
    """Folder that sae-merge diagnose wrote: it ranks the features and names the SAEs."""
    rank: int | None = Field(default=None, ge=1)
    """How many features of each layer to select, the most selective; without it, d_model/40: 64 at 2560."""
    features: str | None = None
    """Or which features of each layer: "9: 3, 17, 100-110; 11: 4"."""
    layers: str | None = None
    """Layers to measure, such as "9, 11-13"; without it, all that were diagnosed."""
    sae: Location | None = None
    """SAEs elsewhere than the diagnosis says: folder template or SAELens release."""
    sae_id: str | None = None
    """Id of a layer's SAE within ``sae``; {layer} stands for its number."""
    read_from: Literal["own", "previous"] = "own"
    """Whose features stand for tensors that read the residual stream: their layer's or the one before."""
    residual_axes: str | None = None
    """Axes of tensors that the built-in table lacks, such as "mlp.experts.*.down_proj.weight=write:0"."""
    reading: Literal["folded", "stored"] = "folded"
    """How tensors that read the residual stream are measured: with the gain of the norm before them folded
    in, as they read it, or as they are stored, which is how a scalpel projects them."""
    draws: int = Field(default=20, ge=0)
    """Sets of as many other features of the same SAE to measure a layer, matched in firing rate."""
    seed: int = Field(default=0, ge=0)
    """Seed of these draws."""
    weight: float = 1.0
    """Weight at which is measured what rounding to the base's stored dtype leaves of the task vector."""
    rounding: RoundingName = DEFAULT
    directions: int = Field(default=8, ge=1)
    """Leading principal directions of the task vector to compare with the features' span."""

    @model_validator(mode="after")
    def _one_choice(self) -> "EnergySettings":
        if self.rank is not None and self.features is not None:
            raise ValueError("rank (how many features) and features (which): give one of them")
        return self
